import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { api, Problem } from '../api.ts'
import { backTo, go, Link } from '../router.tsx'
import type { AccessDetail, Me, Narrowed, ReadRequestAnswer, RegistryDetail, RequestDetail, Stop } from '../types.ts'
import { useKeys } from '../ui/keys.ts'
import { number } from '../ui/numbers.ts'
import {
  AgentName,
  Card,
  Facts,
  Failed,
  Lines,
  Loading,
  modeWords,
  RiskBadge,
  RiskReasons,
  StateBadge,
  taskWords,
} from '../ui/parts.tsx'
import { Ago, Countdown, When } from '../ui/time.tsx'
import { useTitle } from '../ui/title.ts'
import { Visible } from '../ui/visible.tsx'
import { AgentLately } from './agent-lately-card.tsx'
import { DenyDialog, StatementDialog, TakeBackDialog } from './answer-dialogs.tsx'
import { neighbour, takeNext } from './answer-queue.ts'
import { answeredWords } from './closed-words.ts'
import { Earlier, Prose, Similar, Since, WhoAsks } from './evidence.tsx'
import { ExactArguments } from './exact-arguments.tsx'
import { KeysDialog } from './keys-dialog.tsx'
import { LastApproved, SinceApproved } from './last-approved.tsx'
import { freshWords, Limits } from './limits.tsx'
import { draftOf } from './narrow-draft.ts'
import { NarrowEditor } from './narrow-editor.tsx'
import { OnlyInEvidence } from './only-in-evidence.tsx'
import { Permissions } from './permissions.tsx'
import { RegistryDiff } from './registry-diff.tsx'
import { Answers, mayNarrow } from './request-answers.tsx'
import { RuleThatHolds } from './rule-card.tsx'

/** A request that is shown beside the inbox. */
export interface Beside {
  onAnswered(): void
  /** The request left the inbox, and this one took its place. */
  onNext: (() => void) | undefined
}

/** One request, and the three answers to it. On a page of its own, the next request of the inbox follows an answer. */
export function RequestPage({ id, me, beside }: { id: string; me: Me; beside?: Beside }) {
  const detail = useQuery({
    queryKey: ['request', id],
    queryFn: () => api<ReadRequestAnswer>(`/requests/${encodeURIComponent(id)}`),
  })
  // An id that no request can have is treated like an unknown id.
  if (detail.error instanceof Problem && [400, 404].includes(detail.error.status)) return <OnlyInEvidence id={id} />
  if (!detail.data) return detail.error ? <Failed error={detail.error} /> : <Loading />
  if (detail.data.kind === null) return <OnlyInEvidence id={id} />
  return <Request request={detail.data} me={me} beside={beside} />
}

const titleOf = (request: RequestDetail) =>
  request.kind === 'access' ? `${request.from.name ?? request.from.id}: ${taskWords(request.subject)}` : request.subject

/** `byKey`: a single key began it, so that its confirmation is one more key at most. */
type Asking =
  | { kind: 'approve'; narrowed: Narrowed; byKey?: boolean }
  | { kind: 'deny'; byKey?: boolean }
  | { kind: 'take_back' }

function Request({ request, me, beside }: { request: RequestDetail; me: Me; beside: Beside | undefined }) {
  const [asking, setAsking] = useState<Asking>()
  const { id } = request
  const show = (other: string | undefined) =>
    go(other === undefined ? backTo('/console/inbox') : `/console/requests/${other}`)
  const onAnswered = beside?.onAnswered ?? (() => show(takeNext(id)))
  const [helping, setHelping] = useState(false)
  const draft = draftOf(me.me.id, request.id)
  const [narrowing, setNarrowing] = useState(draft.has())
  useTitle(beside === undefined ? titleOf(request) : undefined)
  const close = () => setAsking(undefined)
  const [next, before] = [neighbour(id, 1), neighbour(id, -1)]
  const { may_approve, may_deny } = request
  const signed = request.signed_by.includes(me.me.id)
  useKeys({
    // While a person narrows, no key signs what was asked; and no key signs twice.
    a:
      may_approve && !narrowing && !signed
        ? () => setAsking({ kind: 'approve', narrowed: {}, byKey: true })
        : undefined,
    n: may_approve && mayNarrow(request) ? () => setNarrowing(true) : undefined,
    d: may_deny ? () => setAsking({ kind: 'deny', byKey: true }) : undefined,
    ...(beside === undefined
      ? {
          j: next ? () => show(next) : undefined,
          k: before ? () => show(before) : undefined,
          '?': () => setHelping(true),
        }
      : {}),
  })
  const answers = (
    <Answers
      request={request}
      signed={signed}
      onApprove={() => setAsking({ kind: 'approve', narrowed: {} })}
      onNarrow={() => setNarrowing(true)}
      onOnlyThis={() => setAsking({ kind: 'approve', narrowed: { effect: 'action' } })}
      onDeny={() => setAsking({ kind: 'deny' })}
      onTakeBack={() => setAsking({ kind: 'take_back' })}
    />
  )
  return (
    <article className="request" data-request={request.id}>
      {beside ? (
        <p className="crumb">
          <Link to={`/console/requests/${id}`}>Open on its own page</Link>
        </p>
      ) : (
        <p className="crumb">
          <Link to={backTo('/console/inbox')}>← Inbox</Link>
          {next ? <Link to={`/console/requests/${next}`}>Next →</Link> : null}
        </p>
      )}
      {beside && !request.open ? (
        <p className="note answered" role="status">
          <strong>
            <Visible text={answeredWords(request)} />
          </strong>
          {beside.onNext ? (
            <button type="button" onClick={beside.onNext}>
              Next request <kbd>j</kbd>
            </button>
          ) : null}
        </p>
      ) : null}
      <Head request={request} isPage={beside === undefined} />
      {request.kind === 'registry' || request.agent_stopped === null ? null : <Stopped stop={request.agent_stopped} />}
      <div className="columns">
        <div className="column">
          <Asks request={request} />
          {narrowing && request.kind === 'access' && request.authority ? (
            <NarrowEditor
              authority={request.authority}
              last={request.last_approved}
              continuous={request.mode === 'continuous' ? (request.rule?.continuous ?? null) : null}
              notAfter={request.not_after}
              draft={draft}
              onReview={(narrowed) => setAsking({ kind: 'approve', narrowed })}
              onCancel={() => {
                draft.drop()
                setNarrowing(false)
              }}
            />
          ) : (
            answers
          )}
          {request.kind === 'registry' ? null : <Prose prose={request.prose} />}
        </div>
        <aside className="column side" aria-label="About this request">
          {request.kind === 'access' ? <LastApproved request={request} /> : null}
          {request.kind === 'access' && request.earlier?.id !== request.last_approved?.id ? (
            <Earlier earlier={request.earlier} />
          ) : null}
          {request.kind === 'access' ? <Similar similar={request.similar} /> : null}
          {request.kind === 'registry' ? null : <AgentLately agent={request.from.id} />}
          {request.kind === 'registry' ? null : <RuleThatHolds request={request} me={me} />}
          <WhoAsks request={request} />
        </aside>
      </div>
      {asking?.kind === 'approve' ? (
        <StatementDialog
          request={request}
          narrowed={asking.narrowed}
          me={me}
          byKey={asking.byKey === true}
          onAnswered={onAnswered}
          onClose={close}
        />
      ) : null}
      {asking?.kind === 'deny' ? (
        <DenyDialog request={request} byKey={asking.byKey === true} onAnswered={onAnswered} onClose={close} />
      ) : null}
      {helping ? <KeysDialog onClose={() => setHelping(false)} /> : null}
      {asking?.kind === 'take_back' ? <TakeBackDialog request={request} onClose={close} /> : null}
    </article>
  )
}

/** The page's heading; beside the inbox, a heading below that of the inbox. */
function Head({ request, isPage }: { request: RequestDetail; isPage: boolean }) {
  const Heading = isPage ? 'h1' : 'h2'
  return (
    <header className={`request-head ${request.open ? `edge-${request.risk.level}` : ''}`}>
      <div className="row-badges">
        {request.open ? <RiskBadge risk={request.risk} /> : <StateBadge state={request.state} />}
        {request.kind === 'access' ? <span className="badge">{modeWords[request.mode]}</span> : null}
        {request.kind === 'step_up' ? <span className="badge">Step-up of a live grant</span> : null}
        {request.kind === 'registry' ? <span className="badge">Registry change</span> : null}
        {request.kind === 'access' && request.part ? (
          <span className="badge">
            Part {request.part.number} of {request.part.of}
          </span>
        ) : null}
        <span className="row-time">
          {request.open ? (
            <>
              answer within <Countdown iso={request.expires_at} />
            </>
          ) : (
            <Ago iso={request.changed_at} />
          )}
        </span>
      </div>
      <Heading className="request-title">
        {request.kind === 'registry' ? (
          <>
            <Visible text={request.proposer} /> proposes: <Visible text={request.subject} />
          </>
        ) : (
          <>
            <AgentName from={request.from} /> asks:{' '}
            <Visible text={request.kind === 'access' ? taskWords(request.subject) : request.subject} />
          </>
        )}
      </Heading>
      {request.open || request.kind !== 'step_up' ? <RiskReasons risk={request.risk} /> : null}
      {request.kind === 'access' && request.earlier ? <Since earlier={request.earlier} /> : null}
      {request.kind === 'access' ? <SinceApproved request={request} /> : null}
    </header>
  )
}

function Stopped({ stop: { at, by, sequence } }: { stop: Stop }) {
  return (
    <p className="note bad">
      <strong>This agent was stopped after it asked</strong>, by <Visible text={by} />, <Ago iso={at} /> (revocation{' '}
      {number(sequence)}). If you approve, it works again.
    </p>
  )
}

/** The request, by its canonical fields only. */
function Asks({ request }: { request: RequestDetail }) {
  if (request.kind === 'registry')
    return (
      <>
        {request.open && request.unexplained.length > 0 ? (
          <Card title="Not inspectable" className="refused">
            <p>
              This change cannot be shown here, so it cannot be signed. Deny it, and have it proposed again on this
              machine.
            </p>
            <Lines lines={request.unexplained} />
          </Card>
        ) : null}
        {request.open ? <Starved rules={request.starved} /> : null}
        <Card title="What would change">
          <RegistryDiff diff={request.diff} />
        </Card>
      </>
    )
  if (request.unexplained.length > 0)
    return (
      <Card title="Not inspectable" className="refused">
        <p>
          This request has a part that the console cannot explain, so it cannot be signed. Deny it, and ask the agent’s
          owner what it wants.
        </p>
        <Lines lines={request.unexplained} />
      </Card>
    )
  if (request.kind === 'step_up') return <StepUp request={request} />
  return (
    <>
      {request.reopened ? (
        <p className="note warn">
          It was approved before, but {request.reopened === 'policy_changed' ? 'the policy' : 'a tool'} changed before
          the grant was made. The earlier signatures no longer count: check it again.
        </p>
      ) : null}
      {request.action_digest === null ? null : (
        <Card title="The exact action, once">
          <ExactArguments digest={request.action_digest} handed={request.arguments} />
        </Card>
      )}
      <Card title={request.parts.length > 1 ? 'What this part asks to do' : 'What it asks to do'}>
        <Permissions
          permissions={request.authority?.permissions ?? []}
          lines={request.lines}
          labels={request.labels}
          once={request.mode === 'per_action'}
        />
      </Card>
      <Limits request={request} />
      <Parts request={request} />
    </>
  )
}

function Starved({ rules }: { rules: RegistryDetail['starved'] }) {
  return rules.map(({ rule, group, quorum, members }) => (
    <p key={rule} className="note warn">
      The rule <Visible text={rule} /> would take {quorum} of <Visible text={group} />, which would have{' '}
      <Visible text={members.join(', ') || 'no members'} />: nothing that it matches could then be approved.
    </p>
  ))
}

/** The whole task where rules split it, so that approvers see everything else that was asked with a part. */
function Parts({ request: { id, parts, part } }: { request: AccessDetail }) {
  if (part === null || parts.length < 2) return null
  return (
    <Card title={`One task in ${part.of} parts`} className="parts">
      <p className="hint">
        Different rules apply to this request. Each part is answered separately, and has its own share of the budget.
      </p>
      <ol className="table">
        {parts.map((each) => (
          <li key={each.id} aria-current={each.id === id ? 'true' : undefined}>
            <span className="table-main">
              {each.id === id ? (
                <strong>Part {each.number}, this one</strong>
              ) : (
                <Link to={`/console/requests/${each.id}`}>Part {each.number}</Link>
              )}
              <span className="table-note">
                {each.group === null ? (
                  'no rule'
                ) : (
                  <Visible text={`${each.quorum} of ${each.group}, ${each.signed_by.length} signed`} />
                )}
              </span>
            </span>
            <StateBadge state={each.state} />
            <Lines lines={each.lines} />
          </li>
        ))}
      </ol>
    </Card>
  )
}

function StepUp({ request }: { request: Extract<RequestDetail, { kind: 'step_up' }> }) {
  const { grant, needs, rule } = request
  return (
    <>
      <Card title={needs === 'task' ? 'One action, and the task' : 'One action, once'}>
        {request.arguments === null ? <Lines lines={request.lines} /> : null}
        <ExactArguments digest={request.action.action_digest} handed={request.arguments} />
        {request.open ? (
          <p className="note">
            {needs === 'task'
              ? 'It waits because the task lapsed. “Approve as asked” lets this action happen once and the task continue. “Approve only this action” lets this action happen once; the task still waits.'
              : 'It waits because a policy requires a person’s approval. If you approve, this action may happen once.'}
          </p>
        ) : null}
      </Card>
      <Card title="The grant it belongs to" aside={<StateBadge state={grant.state} />}>
        <Lines lines={grant.lines} />
        {rule?.continuous ? <p className="hint">{freshWords(rule.continuous)}</p> : null}
        <Facts rows={[grant.not_after !== null && ['Ends', <When key="e" iso={grant.not_after} />]]} />
      </Card>
    </>
  )
}
