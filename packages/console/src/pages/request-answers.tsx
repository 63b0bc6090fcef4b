import { Link } from '../router.tsx'
import type { RegistryDetail, RequestDetail } from '../types.ts'
import { whyNotWords } from '../ui/parts.tsx'
import { Visible } from '../ui/visible.tsx'
import { closedWords } from './closed-words.ts'

/** The reason for the number of people that a change takes. */
const whyPeopleWords: Record<RegistryDetail['why_people'], string> = {
  objection: 'Any one approver may object to a recovery.',
  second: 'It brings in the second person who can sign. The first may do that alone; every later change takes two.',
  single_operator: 'Single operator: one person’s passkey changes everything here.',
  rule: 'The rule “registry” requires this many people.',
  two: 'Each change takes two people. The proposer counts only after signing it, because a name proves nothing.',
}

/** A statement that others have signed already is signed again word for word, or not at all. */
export const mayNarrow = ({ kind, rule, signed_by }: RequestDetail) =>
  kind === 'access' && rule?.narrowing === true && signed_by.length === 0

export function Answers({
  request,
  signed,
  onApprove,
  onNarrow,
  onOnlyThis,
  onDeny,
  onTakeBack,
}: {
  request: RequestDetail
  /** By the viewer. */
  signed: boolean
  onApprove(): void
  onNarrow(): void
  onOnlyThis(): void
  onDeny(): void
  onTakeBack(): void
}) {
  const { open, may_approve, may_deny, why_not, rule, signed_by } = request
  if (request.kind === 'step_up' && request.may_take_back)
    return (
      <section className="answers" aria-label="Your answer">
        <p className="note">It was approved: the action may happen, once.</p>
        <div className="actions">
          <button type="button" className="danger-quiet" onClick={onTakeBack}>
            Take it back…
          </button>
        </div>
      </section>
    )
  if (!open)
    return request.kind === 'access' && request.answer?.grant_id ? (
      <p className="note">
        Answered by <Visible text={request.answer.by.join(', ')} />
        {request.answer.narrowed ? ', narrower than asked' : ''}.{' '}
        <Link to={`/console/evidence/${request.answer.grant_id}`}>What became of it</Link>
      </p>
    ) : (
      <p className="note">
        <Visible text={closedWords(request)} />
      </p>
    )
  return (
    <section className="answers" aria-label="Your answer">
      {why_not === null ? null : <p className="note warn">{whyNotWords[why_not] ?? why_not}</p>}
      {rule !== null && (rule.quorum > 1 || signed_by.length > 0) ? (
        <p className="note">
          It takes {rule.quorum === 1 ? 'one person' : `${rule.quorum} people`} of{' '}
          <Visible text={rule.group ?? 'the approvers'} />; {signed_by.length} signed so far
          {signed_by.length > 0 ? (
            <>
              : <Visible text={signed_by.join(', ')} />
            </>
          ) : null}
          .{signed ? ' You are one of them: it waits for another person.' : ''}
        </p>
      ) : null}
      {request.kind === 'registry' ? <p className="hint">{whyPeopleWords[request.why_people]}</p> : null}
      <div className="actions">
        {may_approve ? (
          <button type="button" className={signed ? '' : 'primary'} onClick={onApprove}>
            {signed ? 'Sign again…' : 'Approve as asked…'}
          </button>
        ) : null}
        {may_approve && mayNarrow(request) ? (
          <button type="button" onClick={onNarrow}>
            Approve narrower…
          </button>
        ) : null}
        {may_approve && request.kind === 'step_up' && request.needs === 'task' ? (
          <button type="button" onClick={onOnlyThis}>
            Approve only this action…
          </button>
        ) : null}
        {may_deny ? (
          <button type="button" className="danger-quiet" onClick={onDeny}>
            Deny…
          </button>
        ) : null}
      </div>
    </section>
  )
}
