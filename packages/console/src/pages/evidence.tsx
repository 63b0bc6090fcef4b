import { Link } from '../router.tsx'
import type { AccessDetail, RegistryDetail, RequestDetail, Prose as Words } from '../types.ts'
import { Copied } from '../ui/copy.tsx'
import { AgentName, attestorWords, Card, Facts, OwnerName, StateBadge } from '../ui/parts.tsx'
import { Ago, At } from '../ui/time.tsx'
import { Visible } from '../ui/visible.tsx'

/** The agent that asks, and how its identity is known. */
export function WhoAsks({ request }: { request: RequestDetail }) {
  if (request.kind === 'registry') return <WhoProposes request={request} />
  const { from, attestation, received_by } = request
  const instance = from.instance.slice(from.id.length + 1)
  return (
    <Card title="Who asks">
      <Facts
        rows={[
          ['Agent', <AgentName key="a" from={from} />],
          ['Owner', <OwnerName key="o" from={from} />],
          ['Instance', <Visible key="i" text={instance} />],
          ['Proved by', attestorWords[attestation.kind] ?? attestation.kind],
          attestation.attested_at !== null && ['Attested', <At key="t" iso={attestation.attested_at} />],
          ['Asked', <At key="w" iso={request.received_at} />],
          from.labels.length > 0 && ['Labels', <Visible key="l" text={from.labels.join(', ')} />],
        ]}
      />
      <details>
        <summary>Technical</summary>
        <Facts
          rows={[
            ['SPIFFE ID', <Copied key="s" text={from.instance} what="the SPIFFE ID" />],
            ['Instance key', <Copied key="k" text={request.instance_key} what="the instance key" />],
            ['Request', <Copied key="q" text={request.id} what="the request’s id" />],
            ['Received by', received_by === 'topic' ? 'access-requests.v1' : 'HTTP'],
            request.denial !== null && ['Answers denial', <code key="n">{request.denial.decision_id}</code>],
            request.callback !== null && ['Notifies when done', <Visible key="c" text={request.callback} />],
          ]}
        />
      </details>
    </Card>
  )
}

function WhoProposes({ request }: { request: RegistryDetail }) {
  return (
    <Card title="Who proposes">
      <Facts
        rows={[
          ['Proposed by', <Visible key="p" text={request.proposer} />],
          ['Proposed', <At key="w" iso={request.received_at} />],
          ['It takes', `${request.rule?.quorum ?? 1} ${request.rule?.group ? `of ${request.rule.group}` : 'approver'}`],
        ]}
      />
      <p className="hint">The proposer’s name is not verified: what counts is what you sign.</p>
    </Card>
  )
}

/** The agent's own words, in a box: they are not signed, and must not look as if they were. */
export function Prose({ prose }: { prose: Words | null }) {
  if (prose === null) return null
  if ('gone' in prose)
    return (
      <p className="hint">
        {prose.gone === 'erased'
          ? 'The agent’s own words were erased. What is signed is not changed by that.'
          : 'The agent’s own words are no longer kept here. What is signed is not changed by that.'}
      </p>
    )
  return (
    <figure className="prose">
      <figcaption>In the agent’s own words. They are not checked, and you do not sign them.</figcaption>
      <blockquote>
        <Visible text={prose.text} lines />
        {prose.cut ? <span className="cut"> … (cut)</span> : null}
      </blockquote>
    </figure>
  )
}

const relations = {
  same: 'It asks exactly what it asked then.',
  narrower: 'It asks less than it asked then.',
  wider: 'It asks more than it asked then.',
  different: 'It asks other things than it asked then.',
} as const

export function Earlier({ earlier }: { earlier: AccessDetail['earlier'] }) {
  if (earlier === null)
    return (
      <Card title="Earlier for this task">
        <p className="hint">This agent has not asked for this task lately.</p>
      </Card>
    )
  return (
    <Card
      title="Earlier for this task"
      aside={<StateBadge state={earlier.state} />}
      className={earlier.relation === 'wider' ? 'wider' : ''}
    >
      <p>
        <strong>{relations[earlier.relation]}</strong>{' '}
        <Link to={`/console/requests/${earlier.id}`}>
          Asked <Ago iso={earlier.received_at} />
        </Link>
      </p>
      <Difference lines={goneThenNew(earlier.removed, earlier.added)} />
    </Card>
  )
}

const since = {
  same: 'Asks exactly what it asked last time',
  narrower: 'Asks less than last time',
  wider: 'Asks more than last time',
  different: 'Asks other things than last time',
} as const

const ends: Record<string, string> = {
  pending: 'still waits',
  approved: 'was approved',
  denied: 'was denied',
  expired: 'expired unanswered',
  cancelled: 'was taken back by the agent',
  withdrawn: 'was withdrawn',
}

/** Shown at the top, because the difference itself is far below on a narrow screen. */
export function Since({ earlier: { relation, state, narrowed } }: { earlier: NonNullable<AccessDetail['earlier']> }) {
  const less = relation === 'same' || relation === 'narrower'
  return (
    <p className={less ? 'since' : 'since more'}>
      {since[relation]}
      {ends[state] === undefined
        ? ''
        : `; that ${ends[state]}${state === 'approved' && narrowed ? ' for less than it asked' : ''}`}
      .
    </p>
  )
}

export type DiffLine = readonly ['removed' | 'added', string]

/** First everything removed, then everything added. */
export const goneThenNew = (removed: string[], added: string[]): DiffLine[] => [
  ...removed.map((text) => ['removed', text] as const),
  ...added.map((text) => ['added', text] as const),
]

export function Difference({ lines }: { lines: DiffLine[] }) {
  if (lines.length === 0) return null
  return (
    <ul className="lines diff">
      {lines.map(([word, text]) => (
        <li key={`${word} ${text}`} className={word}>
          <span className="sign" aria-hidden="true">
            {word === 'added' ? '+' : '−'}
          </span>
          <span className="hidden">{word}: </span>
          <Visible text={text} />
        </li>
      ))}
    </ul>
  )
}

/** An agent that took back its own request: the page has its full name elsewhere. */
const whom = (id: string) => (id.startsWith('spiffe://') ? 'the agent' : id)

export function Similar({ similar }: { similar: AccessDetail['similar'] }) {
  return (
    <Card title="What similar requests got">
      {similar.length === 0 ? (
        <p className="hint">No request of this agent for the same tools was answered lately.</p>
      ) : (
        <ul className="similar">
          {similar.map(({ id, state, at, by, narrowed }) => (
            <li key={id}>
              <Link to={`/console/requests/${id}`}>
                <StateBadge state={state} />
                {narrowed ? <span className="badge">narrower</span> : null}
                <span className="similar-note">
                  {by.length > 0 ? (
                    <>
                      by <Visible text={by.map(whom).join(', ')} />,{' '}
                    </>
                  ) : null}
                  <Ago iso={at} />
                </span>
              </Link>
            </li>
          ))}
        </ul>
      )}
    </Card>
  )
}
