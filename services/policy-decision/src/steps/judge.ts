import type { Grant } from '@bailiwick/contracts'
import type { DenialReason } from '@bailiwick/errors'
import type { Duties, Purpose } from '@bailiwick/policy'
import type { SpendView } from '@bailiwick/projection'
import type { Pdp } from '../context.ts'
import type { EvaluationRequest } from '../http/evaluation-request.ts'
import type { Turn } from '../order/turns.ts'
import { isSupported, least } from '../record/obligations.ts'
import type { PolicyQuestion } from '../shadow/policy-question.ts'
import type { StepUp } from '../state/step-ups.ts'
import { type Reservation, reserve } from './budget.ts'
import { budgeted, coverEach, holdersOf, type Levels } from './chain.ts'
import { judgePolicies, type PolicyVerdict } from './judge-policies.ts'
import {
  coveredDeadReason,
  deadReason,
  findStanding,
  isRecorded,
  isToolUnapproved,
  type Standing,
  waitsForHuman,
} from './life.ts'
import type { Claim } from './verify-credential.ts'

/** An action under a living grant that covers it. */
export interface Covered {
  standing: Standing
  levels: Levels
}

/** DESIGN §7.4 steps 2 to 4: the part that does not depend on what the tree has taken. */
export async function judgeCover(
  pdp: Pdp,
  claim: Claim,
  request: EvaluationRequest,
  { deadlineMs, turn }: { deadlineMs: number; turn?: Turn | undefined },
): Promise<({ ok: true } & Covered) | { ok: false; reason: DenialReason }> {
  const refuse = (reason: DenialReason) => ({ ok: false, reason }) as const
  if (!pdp.projection.fresh()) return refuse('state_stale')
  // A call that must wait for the log does not hold up the calls after it.
  if (!isRecorded(pdp, claim)) turn?.leave()
  const life = await findStanding(pdp, claim, deadlineMs)
  if (!life.ok) return life
  const { standing } = life
  const dead = deadReason(pdp, standing, claim, request)
  if (dead) return refuse(dead)
  const chain = holdersOf(pdp, standing.tree, claim.token)
  if (!chain.ok) return chain
  const covered = coverEach(chain.holders, { ...request.action, resource: request.resource })
  if (!covered.ok) return covered
  if (!isApprovedAction(standing.tree.grant, claim)) return refuse('action_not_granted')
  if (isToolUnapproved(pdp, standing, request)) return refuse('manifest_changed')
  return { ok: true, standing, levels: covered.levels }
}

type Approved = Extract<PolicyVerdict, { labels: string[] }>
type Reserved = Extract<Reservation, { ok: true }>

/** The effect that a human's yes must have: let this action through, or also let a lapsed task go on. */
export type StepUpNeeds = 'action' | 'task'

/** `asked`: absent if policies had no part in the verdict. */
export type SpendVerdict = { asked?: PolicyQuestion | undefined } & (
  | { reason: DenialReason; policies?: readonly string[] | undefined; duties?: Duties; needs?: StepUpNeeds }
  | { judged: Approved; reservation: Reserved; stepUp: StepUp | undefined; duties: Duties }
)

/** DESIGN §7.4 steps 3 and 5 to 7 on the tree as it is now: what the action would take, and under which step-up. */
export function judgeSpend(
  pdp: Pdp,
  question: Covered & { claim: Claim; request: EvaluationRequest; purpose?: Purpose },
  view: SpendView,
): SpendVerdict {
  const { claim, standing, levels, request } = question
  const dead = coveredDeadReason(pdp, standing, claim, request)
  if (dead) return { reason: dead }
  const judged = judgePolicies(pdp, question, view)
  if ('reason' in judged) return judged
  const { asked, policies } = judged
  const now = pdp.clock.now()
  // A step-up is used if there is one, needed or not: humans said yes to this action once, so it happens once.
  const stepUp = pdp.stepUps.find(standing, claim.digest, view, now)
  const lapsed = !stepUp && waitsForHuman(pdp, standing, claim, now)
  if (lapsed || (!stepUp && judged.stepUp))
    return { reason: 'step_up_required', policies, duties: judged.wanting, asked, needs: lapsed ? 'task' : 'action' }
  // An approval covers one action, once. A call that was taken and not given back is that one time.
  if (standing.tree.grant.mode === 'per_action' && view.taken.calls > 0n)
    return { reason: view.held.calls > 0n ? 'uses_reserved' : 'uses_exhausted', asked }
  const bytes = { asked: request.observed.answer_bytes, most: judged.duties.limitBytes }
  const reservation = reserve(budgeted(levels, view), bytes)
  if (!reservation.ok) return { ...reservation, asked }
  const duties = withLimits(judged.duties, reservation, standing.tree.grant)
  if (!isSupported(duties, request.supported)) return { reason: 'obligation_unsupported', policies, asked }
  return { judged, reservation, stepUp, duties, asked }
}

/** Adds the duties of the grant's own limits to those of policies: no more bytes than were reserved, and an outcome in time. */
function withLimits(duties: Duties, { reserved }: Reserved, { mode, statement }: Grant): Duties {
  const limitBytes = reserved.egress_bytes > 0 ? reserved.egress_bytes : duties.limitBytes
  const own = mode === 'continuous' ? statement.continuous?.outcome_seconds : undefined
  const reportSeconds = least(duties.reportSeconds, own)
  return {
    ...duties,
    ...(limitBytes === undefined ? {} : { limitBytes }),
    ...(reportSeconds === undefined ? {} : { reportSeconds }),
  }
}

/** `per_action`: the humans approved one exact action, by its digest. */
function isApprovedAction({ mode, statement }: Grant, { digest }: Claim): boolean {
  return mode !== 'per_action' || statement.action_digest === digest
}
