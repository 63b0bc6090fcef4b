import { agentIdOf } from '@bailiwick/contracts'
import type { DenialReason } from '@bailiwick/errors'
import { newId, withDeadline } from '@bailiwick/kit'
import { actingAgent } from '@bailiwick/projection'
import type { Answer, Denied } from './answer.ts'
import type { CallingPoint } from './http/callers.ts'
import { type EvaluationRequest, isNameable } from './http/evaluation-request.ts'
import { isCaughtUp } from './order/catch-up.ts'
import { type DecisionPorts, inTreeOrder, type Question } from './order/decision.ts'
import type { Place } from './order/intake.ts'
import type { TreeQueues } from './order/tree-queue.ts'
import type { Turn } from './order/turns.ts'
import type { Admission } from './ports.ts'
import { namedArguments } from './record/named-arguments.ts'
import type { Known } from './steps/steps.ts'
import { covered, verified } from './steps/table.ts'

export type Deciding = DecisionPorts & Admission

/** How the call arrived. */
export interface From {
  /** The call's place among the calls of one request. */
  turn?: Turn | undefined
  /** Whether the caller no longer waits for the answer. */
  isGone?: (() => boolean) | undefined
}

/**
 * Makes one decision by the steps of DESIGN §7.4, in their order (`steps/table.ts`); the first refusal wins. It answers ALLOW only after
 * the event is durable and counts, and after it has checked freshness and life once more (V2, V7, V8). The deadline runs from when the call
 * is begun. The content of a request never makes it throw. It throws `queue_full` for an agent, or a tree, that has too many calls under
 * way, and `decision_quota_exceeded` for one that asks too often.
 */
export async function decide(
  ports: Deciding,
  queues: TreeQueues,
  point: CallingPoint,
  request: EvaluationRequest,
  from: From = {},
): Promise<Answer> {
  const { isGone, turn } = from
  const isOneOfMany = () => turn?.isOneOfMany === true
  const place = await ports.intake.enter(`${point.id} ${request.observed.credential ?? ''}`, { isGone, isOneOfMany })
  try {
    return await decideBegun(ports, queues, { point, request, from, place })
  } finally {
    place.leave()
  }
}

async function decideBegun(
  ports: Deciding,
  queues: TreeQueues,
  { point, request, from, place }: { point: CallingPoint; request: EvaluationRequest; from: From; place: Place },
): Promise<Answer> {
  const { clock, random, decisionDeadlineMs } = ports
  const started = clock.monotonic()
  const left = () => Math.max(0, decisionDeadlineMs - (clock.monotonic() - started))
  const decisionId = newId('dec', clock.now(), random)
  const callId = request.observed.call_id ?? newId('call', clock.now(), random)
  const deny: Deny = (reason, more = {}) => ({ decision: false, decisionId, callId, reason, ...more })

  if (!isNameable(request)) return deny('request_invalid')
  const caller = await verified.takeWaiting({ point, request }, ports)
  const { token } = caller.facts
  if (left() === 0) return deny('deadline_exceeded', caller.refused === undefined && token ? { token } : {})
  if (caller.refused !== undefined) return deny(caller.refused, token ? { token, unproven: true } : {})
  const call = { ...caller.facts, decisionId, callId, point, isGone: from.isGone }
  const agent = agentIdOf(actingAgent(call.token))
  // After the proof: a caller without the key must not use up the agent's quota.
  ports.quotas.take(agent, call.token.grant.root)
  return ports.agents.run(agent, () => decideVerified(ports, queues, call, { left, deny, turn: from.turn, place }))
}

type Deny = (reason: DenialReason, more?: Partial<Denied>) => Denied

/** Steps 2 to 8, once the credential and the action are known. */
async function decideVerified(
  ports: Deciding,
  queues: TreeQueues,
  call: Known<typeof verified> & Pick<Question, 'decisionId' | 'callId' | 'point' | 'isGone'>,
  { left, deny, turn, place }: { left: () => number; deny: Deny; turn: Turn | undefined; place: Place },
): Promise<Answer> {
  const known = { token: call.token, digest: call.digest }
  const cover = await covered.takeWaiting({ ...call, withinMs: left(), turn }, ports)
  if (cover.refused !== undefined) return deny(cover.refused, known)
  const question: Question = { ...call, ...cover.facts }

  // Policies see every answer that was given before this call came, in any task and by any instance (DESIGN §7.4 step 6).
  if (!(await isCaughtUp(ports, left()))) return deny('state_stale', known)

  // An item that waits for earlier items keeps its own deadline, however long they are held up.
  // It gives up its place meanwhile: the items that it waits for must be able to begin.
  if (turn?.waits) place.leave()
  if (turn) await withDeadline(turn.come(), left()).catch(() => undefined)
  if (left() === 0) return deny('deadline_exceeded', known)
  let answer = await inTreeOrder(ports, queues, question, left())
  if (isStepUpMissing(answer)) {
    // Read again first: the approval event may be milliseconds behind the agent that comes back with it.
    const stepUps = await ports.stepUps.newest(question.tree, left())
    if (stepUps.length > question.stepUps.length)
      answer = await inTreeOrder(ports, queues, { ...question, stepUps }, left())
  }
  if (answer.decision) return answer
  if (!isStepUpMissing(answer)) return { ...answer, ...known }
  // The denial holds the arguments that the authority names, as an ALLOW would: the approver must see what to approve once more.
  const { tree, levels } = question
  const firstCovering = levels.map(({ covering }) => covering[0]?.index ?? -1)
  return { ...answer, ...known, grant: tree.id, ...namedArguments(levels, firstCovering, call.request) }
}

const isStepUpMissing = (answer: Answer) => !answer.decision && answer.reason === 'step_up_required'
