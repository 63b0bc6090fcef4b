import { Link } from '../router.tsx'
import type { RequestRow } from '../types.ts'
import { AgentName, modeWords, RiskBadge, StateBadge, taskWords } from '../ui/parts.tsx'
import { Ago, Countdown } from '../ui/time.tsx'
import { Visible } from '../ui/visible.tsx'
import { LimitLine } from './limits.tsx'

/** A request in one line. `onOpen`: shows it beside the list; without it, its link leads to its page. */
export function RequestLine({
  row,
  me,
  isSelected,
  isTicked,
  onTick,
  onOpen,
}: {
  row: RequestRow
  /** The id of the person who looks. */
  me: string
  isSelected: boolean
  isTicked: boolean
  onTick(): void
  onOpen: (() => void) | undefined
}) {
  const { id, state, subject, risk, from } = row
  const waits = state === 'pending'
  const title = row.kind === 'access' ? taskWords(subject) : subject
  return (
    <article
      className={`line ${waits ? `edge-${risk.level}` : ''} ${isSelected ? 'selected' : ''}`}
      data-request={id}
      aria-current={isSelected ? 'true' : undefined}
    >
      {waits ? <input type="checkbox" aria-label={`Select ${title}`} checked={isTicked} onChange={onTick} /> : <span />}
      <span className="line-state">{waits ? <RiskBadge risk={risk} /> : <StateBadge state={state} />}</span>
      <span className="line-main">
        <span className="line-who">
          {from ? <AgentName from={from} /> : <Visible text={row.proposer ?? ''} />}
          {from ? '' : ' proposes'}
        </span>{' '}
        <Link className="line-what" to={`/console/requests/${id}`} onFollow={onOpen}>
          <Visible text={title} />
        </Link>
        <Badges row={row} signed={row.signed_by.includes(me)} />
      </span>
      <Why row={row} />
      {row.limits ? <LimitLine limits={row.limits} waits={waits} /> : <span />}
      <span className="row-time">
        {waits ? (
          <>
            <span className="hidden">answer within </span>
            <Countdown iso={row.expires_at} />
          </>
        ) : (
          <Ago iso={row.changed_at} />
        )}
      </span>
    </article>
  )
}

function Badges({ row, signed }: { row: RequestRow; signed: boolean }) {
  const { mode, kind, part, reopened, state, quorum, signed_by } = row
  const waits = state === 'pending'
  return (
    <>
      {kind === 'step_up' ? <span className="badge">Step-up</span> : null}
      {mode !== null && mode !== 'window' ? <span className="badge">{modeWords[mode]}</span> : null}
      {part ? (
        <span className="badge">
          Part {part.number} of {part.of}
        </span>
      ) : null}
      {reopened ? <span className="badge risk-medium">Asked again</span> : null}
      {waits && signed ? <span className="badge">You signed</span> : null}
      {waits && quorum !== null && quorum > 1 ? (
        <span className="badge">
          {signed_by.length} of {quorum} signed
        </span>
      ) : null}
      {waits && !row.mine && !signed ? <span className="badge">For others</span> : null}
      {row.agent_stopped_at === null ? null : <span className="badge state-revoked">Agent stopped since</span>}
    </>
  )
}

/** The worst of what is known about it, then the agent's own words: they are not checked, and must not look as if they were. */
function Why({ row: { risk, state, purpose } }: { row: RequestRow }) {
  const [worst] = state === 'pending' ? risk.reasons : []
  return (
    <span className="line-why">
      {worst ? <Visible text={worst.text} /> : null}
      {purpose !== null && 'text' in purpose ? (
        <q title="In the agent’s own words, which are not checked">
          <Visible text={`${purpose.text}${purpose.cut ? '…' : ''}`} />
        </q>
      ) : null}
    </span>
  )
}
