import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api } from '../api.ts'
import { canonical, showsWhatIsSigned, sign } from '../ceremonies.ts'
import { refresh } from '../live.ts'
import type {
  AccessDetail,
  ApproveAnswer,
  Authority,
  Continuous,
  Me,
  Narrowed,
  Rendered,
  RequestDetail,
  Statement,
} from '../types.ts'
import { Dialog } from '../ui/dialog.tsx'
import { AgentName, Facts, Failed, Lines, Loading, modeWords, taskWords } from '../ui/parts.tsx'
import { useSay } from '../ui/say.tsx'
import { timeText, When } from '../ui/time.tsx'
import { Visible } from '../ui/visible.tsx'
import { Difference, goneThenNew } from './evidence.tsx'
import { ExactArguments, useExactAction } from './exact-arguments.tsx'
import { freshWords } from './limits.tsx'
import { draftOf } from './narrow-draft.ts'
import { PermittedLines } from './permissions.tsx'
import { RegistryDiff } from './registry-diff.tsx'
import { effectIn, StepUpEffect } from './step-up-effect.tsx'
import { warningsOf } from './warnings.ts'

// Each member is shown in the dialog, or makes the signature count only once and only here. The console does not know
// the meaning of any other member.
const known: Record<Statement['kind'], readonly string[]> = {
  approval: [
    ...[
      'v',
      'kind',
      'installation',
      'request_id',
      'request_hash',
      'agent',
      'instance_key',
      'rebind',
      'authority',
      'mode',
    ],
    ...[
      'action_digest',
      'arguments',
      'continuous',
      'emergency',
      'not_before',
      'not_after',
      'rule',
      'policy_set',
      'manifests',
      'as_of',
      'nonce',
    ],
    'issued_at',
  ],
  registry: ['v', 'kind', 'installation', 'change_id', 'proposer', 'entities', 'not_after', 'nonce', 'issued_at'],
  step_up: [
    ...[
      'v',
      'kind',
      'installation',
      'request_id',
      'grant_id',
      'action_digest',
      'arguments',
      'effect',
      'not_after',
      'nonce',
      'issued_at',
    ],
  ],
}

/** Whether the dialog shows everything that the statement says. */
const isExplained = (statement: Statement) =>
  Object.keys(statement).every((member) => known[statement.kind]?.includes(member)) &&
  (statement.kind !== 'registry' || statement.v === 2) &&
  (statement.kind !== 'step_up' || effectIn(statement) !== undefined)

/** Avoids a useless passkey prompt in a dialog that stayed open. */
const closed = 'This request was answered or taken back meanwhile: there is nothing left to sign.'
const closedForDenial = 'This request was answered or taken back meanwhile: there is nothing left to deny.'

/** The request that a dialog answers: the agent, its permissions, and the purpose in its own words. */
function Asked({ request }: { request: RequestDetail }) {
  if (request.kind === 'registry')
    return (
      <p className="asked">
        <Visible text={request.proposer} /> proposes: <Visible text={request.subject} />
      </p>
    )
  const { prose } = request
  return (
    <p className="asked">
      <AgentName from={request.from} /> asks:{' '}
      <Visible text={request.kind === 'access' ? taskWords(request.subject) : request.subject} />
      {prose !== null && 'text' in prose ? (
        <q title="In the agent’s own words, which are not checked">
          <Visible text={shortened(prose.text)} />
        </q>
      ) : null}
    </p>
  )
}

const shortened = (text: string) => (text.length <= 160 ? text : `${text.slice(0, 160)}…`)

/** Shows exactly what the passkey signs, then signs it. */
export function StatementDialog({
  request,
  narrowed,
  me,
  byKey,
  onAnswered,
  onClose,
}: {
  request: RequestDetail
  narrowed: Narrowed
  me: Me
  /** A single key opened it: the page asks for the passkey as soon as it shows the statement, unless there is a warning. */
  byKey: boolean
  onAnswered(): void
  onClose(): void
}) {
  const client = useQueryClient()
  const say = useSay()
  const [attempt, setAttempt] = useState(0)
  const rendered = useQuery({
    queryKey: ['statement', request.id, narrowed, attempt],
    queryFn: () => api<Rendered>(`/requests/${request.id}/statement`, narrowed),
    gcTime: 0,
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  })
  const blocked = useBlocked(rendered.data)
  const submit = async () => {
    const statement = rendered.data
    if (!request.open) throw new Error(closed)
    if (statement === undefined) throw rendered.error ?? new Error('The statement is not there yet.')
    if (!isExplained(statement.statement))
      throw new Error('The statement has a part that this console cannot explain, so it was not signed.')
    if (request.kind === 'registry' && !(await showsWhatIsSigned(request.diff, statement.statement.entities)))
      throw new Error('The statement is for a different change than the one shown, so it was not signed.')
    if (blocked !== undefined) throw new Error(blocked)
    try {
      say(...outcome(await sign(request.id, statement)))
      draftOf(me.me.id, request.id).drop()
    } catch (error) {
      // A statement is good for one attempt at the server: the next click signs a new one.
      if (!(error instanceof DOMException)) setAttempt((n) => n + 1)
      throw error
    }
    onAnswered()
    await refresh(client)
  }
  const change = request.kind === 'registry'
  const warnings = warningsOf(request)
  return (
    <Dialog
      title={change ? 'You sign this change' : 'You sign exactly this'}
      action="Sign with passkey"
      // Without a statement, or for a request that has ended, a passkey would have nothing to sign.
      blocked={!request.open || rendered.data === undefined || blocked !== undefined}
      eager={byKey ? (warnings.length > 0 ? 'focus' : 'submit') : undefined}
      onSubmit={submit}
      onClose={onClose}
    >
      <Asked request={request} />
      {warnings.length > 0 && request.open ? (
        <ul className="reasons" aria-label="Warnings">
          {warnings.map((text) => (
            <li key={text} className="reason risk-high">
              <Visible text={text} />
            </li>
          ))}
        </ul>
      ) : null}
      {rendered.error ? <Failed error={rendered.error} /> : null}
      {request.open ? null : (
        <p className="note bad" role="alert">
          {closed}
        </p>
      )}
      {rendered.isPending ? <Loading /> : null}
      {rendered.data === undefined ? null : (
        <>
          <Shown rendered={rendered.data} />
          {blocked === undefined ? null : (
            <p className="note bad" role="alert">
              {blocked}
            </p>
          )}
          {request.kind === 'registry' ? (
            <RegistryDiff diff={request.diff} />
          ) : request.kind === 'access' ? (
            <PermittedLines
              authority={rendered.data.statement.authority as Authority}
              lines={rendered.data.lines}
              once={rendered.data.statement.mode === 'per_action'}
            />
          ) : (
            <Lines
              lines={rendered.data.lines.length > 0 ? rendered.data.lines : request.lines}
              label="What you approve"
            />
          )}
          {request.kind === 'access' ? <Narrower asked={request} rendered={rendered.data} /> : null}
          <StatementFacts statement={rendered.data.statement} />
          <details className="exact-form">
            <summary>The statement, as it is signed</summary>
            <pre>
              <Visible text={canonical(rendered.data.statement)} />
            </pre>
          </details>
          <p className="id">
            Statement <code>{rendered.data.statement_hash}</code>
            <br />
            signed as <Visible text={`${me.me.name} (${me.me.id})`} />
          </p>
        </>
      )}
    </Dialog>
  )
}

/** The arguments whose digest the statement holds, as this page checked them. */
function Shown({ rendered: { statement, arguments: text } }: { rendered: Rendered }) {
  if (typeof statement.action_digest !== 'string') return null
  const handed = statement.arguments === undefined ? null : { text: text ?? '' }
  return <ExactArguments digest={statement.action_digest} handed={handed} />
}

/**
 * The reason why *Sign* is disabled: the statement says that arguments were shown, and this page cannot show arguments
 * that match the digest.
 */
function useBlocked(rendered: Rendered | undefined): string | undefined {
  const { statement, arguments: text } = rendered ?? {}
  const digest = statement?.action_digest
  const isShown = statement?.arguments !== undefined
  const checked = useExactAction(isShown ? (text ?? '') : undefined, typeof digest === 'string' ? digest : undefined)
  if (!isShown || checked?.ok === true) return undefined
  if (statement?.arguments !== 'shown' || typeof digest !== 'string')
    return 'This cannot be signed: the console does not understand what the statement says about arguments.'
  return checked === undefined
    ? 'The arguments are still being checked.'
    : 'This cannot be signed: the statement says that its arguments were shown, and this page cannot show them.'
}

/** The parts of the request that are not signed; nothing when it is signed as asked. */
function Narrower({ asked, rendered: { lines, statement } }: { asked: AccessDetail; rendered: Rendered }) {
  const then = asked.lines.filter((line) => !lines.includes(line)) // the task is the same, because no one may rename it
  const asWords = (fresh: unknown) => (fresh ? [freshWords(fresh as Continuous)] : [])
  const [freshThen, freshNow] = [asWords(asked.rule?.continuous), asWords(statement.continuous)]
  const gone = [
    ...then,
    ...(statement.not_after === asked.not_after ? [] : [`Until ${timeText(asked.not_after)}`]),
    ...(freshNow.length > 0 ? freshThen.filter((words) => !freshNow.includes(words)) : []),
  ]
  if (gone.length === 0) return null
  return (
    <section className="narrower" aria-label="Narrower than asked">
      <h3>Narrower: instead of</h3>
      <Difference lines={goneThenNew(gone, [])} />
    </section>
  )
}

function outcome({ status, endorsements, grant, applied }: ApproveAnswer): [string, 'done' | 'failed'] {
  if (status === 'endorsed') return [`Signed. More people must sign: ${endorsements} so far.`, 'done']
  if (grant === 'refused') return ['Approved, but the issuer refused to make the grant.', 'failed']
  return [applied === false ? 'Approved; it is not in force yet.' : 'Approved.', 'done']
}

interface ApprovalStatement {
  agent: string
  mode: keyof typeof modeWords
  not_before: string
  not_after: string
  rebind: string
  rule: { id: string; quorum: number; group: string }
  continuous?: Continuous
  emergency?: true
}

/** The rest of what an approval statement says, from the statement itself. */
function StatementFacts({ statement }: { statement: Statement }) {
  if (statement.kind === 'registry')
    return <Facts rows={[['Counts until', <When key="u" iso={String(statement.not_after)} />]]} />
  if (statement.kind === 'step_up')
    return (
      <>
        <StepUpEffect statement={statement} />
        <Facts
          rows={[
            ['Grant', <code key="g">{String(statement.grant_id)}</code>],
            ['Counts until', <When key="u" iso={String(statement.not_after)} />],
          ]}
        />
      </>
    )
  const { agent, mode, not_before, not_after, rebind, rule, continuous, emergency } =
    statement as unknown as ApprovalStatement
  return (
    <>
      {continuous === undefined ? null : <p className="note">{freshWords(continuous)}</p>}
      {emergency === undefined ? null : (
        <p className="note bad">
          <strong>An emergency.</strong> You let the holder of the key at the end of the agent's name act where the
          rules for approval would say no.
        </p>
      )}
      <Facts
        rows={[
          ['Agent', <Visible key="a" text={agent} />],
          ['Mode', modeWords[mode]],
          ['From', <When key="f" iso={not_before} />],
          ['Until', <When key="u" iso={not_after} />],
          rebind === 'attested' && ['New key', 'May be bound to a new key of the same agent'],
          ['Rule', <Visible key="r" text={`${rule.id}: ${rule.quorum} of ${rule.group}`} />],
        ]}
      />
    </>
  )
}

export function ReasonField({ hint = 'Optional' }: { hint?: string }) {
  return (
    <label className="field">
      <span>Reason</span>
      <textarea name="reason" rows={2} maxLength={2000} />
      <small>{hint}</small>
    </label>
  )
}

/** In the API's form: an empty reason is omitted. */
export function reasonIn(data: FormData): { reason?: string } {
  const reason = String(data.get('reason') ?? '').trim()
  return reason === '' ? {} : { reason }
}

/** For a mistaken approval of a step-up: only that approval is taken back, and the task continues. */
export function TakeBackDialog({ request, onClose }: { request: RequestDetail; onClose(): void }) {
  const client = useQueryClient()
  const say = useSay()
  const submit = async (data: FormData) => {
    await api(`/requests/${request.id}/withdraw`, reasonIn(data))
    say('Taken back.')
    await refresh(client)
  }
  return (
    <Dialog title="Take it back" action="Take it back" danger onSubmit={submit} onClose={onClose}>
      <p>
        The action can no longer happen on this approval, unless it already has. If the approval let a lapsed task
        continue, the task waits for a person again. To stop the task for good, withdraw its grant.
      </p>
      <ReasonField hint="Optional. It is stored next to the evidence, and can be erased." />
    </Dialog>
  )
}

export function DenyDialog({
  request,
  byKey,
  onAnswered,
  onClose,
}: {
  request: RequestDetail
  byKey: boolean
  onAnswered(): void
  onClose(): void
}) {
  const client = useQueryClient()
  const say = useSay()
  const submit = async (data: FormData) => {
    await api(`/requests/${request.id}/deny`, reasonIn(data))
    say('Denied.')
    onAnswered()
    await refresh(client)
  }
  return (
    <Dialog
      title={request.kind === 'registry' ? 'Deny this change' : 'Deny this request'}
      action="Deny it"
      danger
      blocked={!request.open}
      eager={byKey ? 'focus' : undefined}
      onSubmit={submit}
      onClose={onClose}
    >
      <Asked request={request} />
      {request.open ? null : (
        <p className="note bad" role="alert">
          {closedForDenial}
        </p>
      )}
      <p>
        {request.kind === 'registry'
          ? 'Nothing changes; it can be proposed again.'
          : 'The agent gets nothing, and can ask again later.'}
      </p>
      <ReasonField hint="Optional. It is stored next to the evidence, and can be erased." />
    </Dialog>
  )
}
