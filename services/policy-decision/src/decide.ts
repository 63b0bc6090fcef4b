import { lookup, namedPointers } from '@bailiwick/authority'
import { agentIdOf, type BudgetAmounts, type Mode, type Obligation } from '@bailiwick/contracts'
import {
  type AccessToken,
  actionText,
  encodeBase64url,
  permittedHash,
  type SaltedText,
  signPermit,
} from '@bailiwick/credentials'
import type { DenialReason } from '@bailiwick/errors'
import { newId, withDeadline } from '@bailiwick/kit'
import type { Duties } from '@bailiwick/policy'
import { actingAgent, type Draft, type SpendView } from '@bailiwick/projection'
import type { Pdp } from './context.ts'
import type { CallingPoint } from './http/callers.ts'
import { type EvaluationRequest, isNameable } from './http/evaluation-request.ts'
import { isCaughtUp } from './order/catch-up.ts'
import type { Place } from './order/intake.ts'
import type { Outbid, Planned, TreeQueues, Work } from './order/tree-queue.ts'
import type { Turn } from './order/turns.ts'
import { least, spellObligations } from './record/obligations.ts'
import type { Prepared } from './shadow/shadow.ts'
import type { StepUp } from './state/step-ups.ts'
import { actedAs, isScalar, type Levels, type Scalar } from './steps/chain.ts'
import { judgeCover, judgeSpend, type StepUpNeeds } from './steps/judge.ts'
import { coveredDeadReason, findStanding, type Standing, waitsForHuman } from './steps/life.ts'
import { type Claim, readCredential, verifyCredential } from './steps/verify-credential.ts'

export interface Allowed {
  decision: true
  decisionId: string
  callId: string
  /** Single use, for this digest, within seconds. */
  permit: string
  /** ms since the epoch */
  permitEndsAt: number
  outcomeDue: string
  /** The obligations, as they stand in the signed permit. */
  obligations: readonly Obligation[]
}

export interface Denied {
  decision: false
  decisionId: string
  callId: string | undefined
  reason: DenialReason
  /** The caller's credential, as far as it is known; for evidence. */
  token?: AccessToken
  /** The caller did not prove that it holds the credential's key. */
  unproven?: true
  digest?: string
  policies?: readonly string[]
  /** The policy set that judged the call, if the decision came that far. */
  policySet?: string
  /** The living grant that lacks only a human's approval of this action (step-up). The binding token names this grant. */
  grant?: string
  /** For a step-up: whether the approver's yes must only let this action through, or must also reopen the task. */
  needs?: StepUpNeeds
  /** Duties that apply although the action is denied. */
  duties?: Duties
  /** For a step-up: the arguments that the authority names. */
  arguments?: Record<string, Scalar>
}

export type Answer = Allowed | Denied

const permitSeconds = 5

/** How the call arrived. */
export interface From {
  /** The call's place among the calls of one request. */
  turn?: Turn | undefined
  /** Whether the caller no longer waits for the answer. */
  isGone?: (() => boolean) | undefined
}

type Deny = (reason: DenialReason, more?: Partial<Denied>) => Denied

/**
 * Makes one decision by the steps of DESIGN §7.4, in their order; the first refusal wins. It answers ALLOW only after the event is
 * durable and counts, and after it has checked freshness and life once more (V2, V7, V8). The deadline runs from when the call is begun.
 * The content of a request never makes it throw. It throws `queue_full` for an agent, or a tree, that has too many calls under way,
 * and `decision_quota_exceeded` for one that asks too often.
 */
export async function decide(
  pdp: Pdp,
  queues: TreeQueues,
  point: CallingPoint,
  request: EvaluationRequest,
  from: From = {},
): Promise<Answer> {
  const { isGone, turn } = from
  const isOneOfMany = () => turn?.isOneOfMany === true
  const place = await pdp.intake.enter(`${point.id} ${request.observed.credential ?? ''}`, { isGone, isOneOfMany })
  try {
    return await decideBegun(pdp, queues, { point, request, from, place })
  } finally {
    place.leave()
  }
}

async function decideBegun(
  pdp: Pdp,
  queues: TreeQueues,
  { point, request, from, place }: { point: CallingPoint; request: EvaluationRequest; from: From; place: Place },
): Promise<Answer> {
  const started = pdp.clock.monotonic()
  const left = () => Math.max(0, pdp.decisionDeadlineMs - (pdp.clock.monotonic() - started))
  const decisionId = newId('dec', pdp.clock.now(), pdp.random)
  const callId = request.observed.call_id ?? newId('call', pdp.clock.now(), pdp.random)
  const deny: Deny = (reason, more = {}) => ({
    decision: false,
    decisionId,
    callId,
    reason,
    ...more,
  })

  if (!isNameable(request)) return deny('request_invalid')
  const verified = await verifyCredential(pdp, point, request)
  if (left() === 0) return deny('deadline_exceeded', verified.ok ? { token: verified.claim.token } : {})
  if (!verified.ok) return deny(verified.reason, verified.token ? { token: verified.token, unproven: true } : {})
  const { claim } = verified
  const call = { decisionId, callId, point, request, claim, isGone: from.isGone }
  const agent = agentIdOf(actingAgent(claim.token))
  // After the proof: a caller without the key must not use up the agent's quota.
  pdp.quotas.take(agent, claim.token.grant.root)
  return pdp.agents.run(agent, () => decideClaim(pdp, queues, call, { left, deny, turn: from.turn, place }))
}

/** Steps 2 to 8, once the credential and the action are known. */
async function decideClaim(
  pdp: Pdp,
  queues: TreeQueues,
  call: Omit<Question, 'standing' | 'levels'>,
  { left, deny, turn, place }: { left: () => number; deny: Deny; turn: Turn | undefined; place: Place },
): Promise<Answer> {
  const { claim, request } = call
  const known = { token: claim.token, digest: claim.digest }
  const covered = await judgeCover(pdp, claim, request, { deadlineMs: left(), turn })
  if (!covered.ok) return deny(covered.reason, known)
  const { levels } = covered

  // Policies see every answer that was given before this call came, in any task and by any instance (DESIGN §7.4 step 6).
  if (!(await isCaughtUp(pdp, left()))) return deny('state_stale', known)

  const { tree } = covered.standing
  const judge = (standing: Standing) => inTreeOrder(pdp, queues, { ...call, standing, levels }, left())
  // An item that waits for earlier items keeps its own deadline, however long they are held up.
  // It gives up its place meanwhile: the items that it waits for must be able to begin.
  if (turn?.waits) place.leave()
  if (turn) await withDeadline(turn.come(), left()).catch(() => undefined)
  if (left() === 0) return deny('deadline_exceeded', known)
  let answer = await judge(covered.standing)
  if (isStepUpMissing(answer)) {
    // Read again first: the approval event may be milliseconds behind the agent that comes back with it.
    const stepUps = await pdp.stepUps.newest(tree, left())
    if (stepUps.length > covered.standing.stepUps.length) answer = await judge({ ...covered.standing, stepUps })
  }
  if (answer.decision) return answer
  if (!isStepUpMissing(answer)) return { ...answer, ...known }
  // The denial holds the arguments that the authority names, as an ALLOW would: the approver must see what to approve once more.
  return { ...answer, ...known, grant: tree.id, ...namedArguments(levels, firstCovering(levels), request) }
}

/**
 * Why an ALLOW that this instance gave is not repeated for this request, or undefined if it may be. It is not repeated to a caller
 * without the key, nor for anything that was revoked meanwhile (V7, V11). The same proof may come again: it was counted once.
 */
export async function whyNotAgain(
  pdp: Pdp,
  point: CallingPoint,
  request: EvaluationRequest,
): Promise<DenialReason | undefined> {
  const read = readCredential(pdp, point, request)
  if (!read.ok) return read.reason
  const life = await findStanding(pdp, read.claim, pdp.decisionDeadlineMs)
  return life.ok ? coveredDeadReason(pdp, life.standing, read.claim, request) : life.reason
}

const isStepUpMissing = (answer: Answer) => !answer.decision && answer.reason === 'step_up_required'

async function inTreeOrder(pdp: Pdp, queues: TreeQueues, question: Question, deadlineMs: number): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>()
  const decision = new Decision(pdp, queues, question, resolve)
  const timer = setTimeout(() => decision.late(), deadlineMs)
  try {
    queues.add(question.standing.tree.id, decision)
    return await promise
  } finally {
    clearTimeout(timer)
  }
}

interface Question {
  decisionId: string
  callId: string
  point: CallingPoint
  request: EvaluationRequest
  claim: Claim
  standing: Standing
  levels: Levels
  isGone: From['isGone']
}

const isReserved = (reason: DenialReason) => reason === 'uses_reserved' || reason === 'budget_reserved'

interface Because {
  policies?: readonly string[] | undefined
  duties?: Duties
  needs?: StepUpNeeds
}

/** Steps 5 to 8, in the tree's order. */
class Decision implements Work {
  readonly #pdp: Pdp
  readonly #queues: TreeQueues
  readonly #question: Question
  readonly #answer: (answer: Answer) => void
  #outcomeDue = ''
  /** The event of an ALLOW holds the call as a salted hash. The salt goes into the permit, and beside the call where calls are kept. */
  #call: SaltedText | undefined
  /** One salt per decision, also when it is evaluated again: the void event and the one that counts then name the call alike. */
  #salt: string | undefined
  #isKept = false
  #obligations: readonly Obligation[] = []
  #stepUp: StepUp | undefined
  /** The question for a candidate policy set, asked once this decision is answered. */
  #shadow: Prepared | undefined
  #policySet: string | undefined
  #answered = false

  constructor(pdp: Pdp, queues: TreeQueues, question: Question, answer: (answer: Answer) => void) {
    this.#pdp = pdp
    this.#queues = queues
    this.#question = question
    this.#answer = answer
  }

  plan(view: SpendView): Planned | Outbid | undefined {
    if (this.#answered) return undefined
    const { decisionId, callId, claim } = this.#question
    const earlier = view.byCall.get(callId)
    if (earlier !== undefined)
      return this.#deny(view.allows.get(earlier)?.standing === 'abandoned' ? 'call_abandoned' : 'call_elsewhere')
    // Another instance may have counted this proof while the grant store was away. The log shows it (V10).
    if (view.byProof.has(claim.proofId)) return this.#deny('proof_replayed')
    const verdict = judgeSpend(this.#pdp, this.#question, view)
    this.#policySet = verdict.asked?.policySet
    this.#shadow = this.#pdp.shadow.prepare(verdict.asked)
    if ('reason' in verdict)
      return isReserved(verdict.reason) ? { outbid: verdict.reason } : this.#deny(verdict.reason, verdict)
    const { judged, reservation, duties } = verdict
    this.#stepUp = verdict.stepUp
    this.#oblige(duties)
    const { reserved, permissions, amounts } = reservation
    const draft = this.#draft({
      reserved,
      permissions,
      labels: judged.labels,
      owners: judged.owners,
      policies: judged.policies,
      policySet: judged.policySet,
    })
    return { draft, take: { takeId: decisionId, amounts, labels: judged.labels } }
  }

  #oblige(duties: Duties): void {
    const { decisionId, claim, request } = this.#question
    const { action, resource } = request
    const about = { subject: actingAgent(claim.token), action: action.name, resource, decision: true, decisionId }
    this.#obligations = spellObligations(duties, about)
    const seconds = least(this.#pdp.outcomeSeconds, duties.reportSeconds) ?? 0
    this.#outcomeDue = new Date(this.#pdp.clock.now() + seconds * 1000).toISOString()
  }

  #draft(judged: {
    reserved: BudgetAmounts
    permissions: readonly [number, ...number[]]
    labels: string[]
    owners: string[]
    policies: string[]
    policySet: string
  }): Draft<'decisions.v1'> {
    const { decisionId, callId, point, request, claim, standing, levels } = this.#question
    const { grant } = standing.tree
    const [permission, ...below] = judged.permissions
    return {
      type: 'decision.allowed',
      subject: decisionId,
      data: {
        decision_id: decisionId,
        call_id: callId,
        enforcement_point: point.id,
        ...(point.instance === undefined ? {} : { instance: point.instance }),
        actor: {
          agent: grant.agent,
          credential_id: claim.token.jti,
          grant_id: grant.id,
          request_id: grant.request_id,
          task: grant.authority.task,
          ...actedAs(claim.token),
        },
        action: {
          name: request.action.name,
          resource: request.resource,
          ...this.#named(grant.mode),
          ...namedArguments(levels, judged.permissions, request),
        },
        ...(this.#isKept ? { call_kept: true as const } : {}),
        permission,
        ...chained(levels, below),
        proof: claim.proof,
        proof_id: claim.proofId,
        reserved: judged.reserved,
        labels: judged.labels,
        owners: judged.owners,
        policy_set: judged.policySet,
        policies: judged.policies,
        ...this.#obliged(),
        ...(this.#stepUp === undefined ? {} : { step_up: this.#stepUp.requestId }),
        outcome_due: this.#outcomeDue,
        as_of: this.#pdp.projection.ledger.revocations.sequence,
      },
    }
  }

  recorded(): void {
    const { claim, standing, request, decisionId, callId, point } = this.#question
    // A caller that has gone gets no answer, so the reservation of its call is given back.
    const dead =
      this.#answered || this.#question.isGone?.()
        ? 'deadline_exceeded'
        : (coveredDeadReason(this.#pdp, standing, claim, request) ?? this.#humanGone())
    if (dead) {
      // If the decision used no step-up, the task itself lapsed meanwhile.
      this.#deny(dead, this.#stepUp === undefined ? { needs: 'task' } : {})
      this.#abandon()
      return
    }
    const iat = Math.floor(this.#pdp.clock.now() / 1000)
    const permit = signPermit(
      {
        iss: this.#pdp.publicUrl,
        aud: point.id,
        ...(point.instance === undefined ? {} : { instance: point.instance }),
        jti: decisionId,
        iat,
        exp: iat + permitSeconds,
        action_digest: claim.digest,
        ...(this.#call === undefined ? {} : { action_salt: this.#call.salt }),
        grant: standing.tree.grant.id,
        ...this.#obliged(),
      },
      this.#pdp.permitKey,
    )
    const permitEndsAt = (iat + permitSeconds) * 1000
    const [outcomeDue, obligations] = [this.#outcomeDue, this.#obligations]
    if (this.#isKept && this.#call !== undefined) this.#pdp.keptCalls?.keep(decisionId, this.#call)
    this.#settle({ decision: true, decisionId, callId, permit, permitEndsAt, outcomeDue, obligations })
  }

  /**
   * How the event names the action. The digest has no salt, so a reader can guess arguments that have few possible values. The event
   * therefore holds the digest only where a human signed it and an auditor must compare the two.
   */
  #named(mode: Mode): { action_digest: string } | { call: { salted_sha256: string } } {
    const { claim, request } = this.#question
    this.#call = undefined
    this.#isKept = false
    if (mode === 'per_action' || this.#stepUp !== undefined) return { action_digest: claim.digest }
    this.#salt ??= encodeBase64url(this.#pdp.random(16))
    const text = actionText({ ...request.action, resource: request.resource })
    this.#call = { salt: this.#salt, text }
    this.#isKept = this.#pdp.keptCalls?.takes(text) ?? false
    return { call: { salted_sha256: permittedHash({ action_digest: claim.digest, action_salt: this.#salt }, text) } }
  }

  #obliged(): { obligations?: Obligation[] } {
    return this.#obligations.length === 0 ? {} : { obligations: [...this.#obligations] }
  }

  /** Whether the yes that the decision relies on ended while it became durable: it was taken back, or its approver was revoked (V7). */
  #humanGone(): DenialReason | undefined {
    const stepUp = this.#stepUp
    const { standing, claim } = this.#question
    const now = this.#pdp.clock.now()
    const gone =
      stepUp === undefined
        ? waitsForHuman(this.#pdp, standing, claim, now)
        : !this.#pdp.stepUps.stands(standing.tree, stepUp, now)
    return gone ? 'step_up_required' : undefined
  }

  refused(reason: DenialReason): void {
    this.#deny(reason)
  }

  /** The decision may still turn out to count. The caller was not told ALLOW, so it is taken back if it does. */
  unsure(): void {
    this.#deny('evidence_unavailable')
    this.#abandon()
  }

  late(): void {
    this.#deny('deadline_exceeded')
  }

  #abandon(): void {
    const { decisionId, callId, standing } = this.#question
    this.#queues.abandonOnce(standing.tree.id, decisionId, callId)
  }

  #deny(reason: DenialReason, { policies, duties, needs }: Because = {}): undefined {
    const { decisionId, callId } = this.#question
    const policySet = this.#policySet
    const judged = policySet === undefined ? {} : { policySet }
    const because = {
      ...judged,
      ...(policies ? { policies } : {}),
      ...(duties ? { duties } : {}),
      ...(needs ? { needs } : {}),
    }
    this.#settle({ decision: false, decisionId, callId, reason, ...because })
    return undefined
  }

  #settle(answer: Answer): void {
    if (this.#answered) return
    this.#answered = true
    this.#answer(answer)
    // After the answer, so that a candidate's result cannot influence it.
    this.#pdp.shadow.ask(answer.decisionId, this.#shadow)
  }
}

/** The links that the action was allowed under, each with the permission that is charged at that link. */
function chained([, ...links]: Levels, permissions: readonly number[]) {
  const chain = links.map(({ holder: { id, agent } }, n) => ({
    delegation_id: id,
    agent,
    permission: permissions[n] ?? 0,
  }))
  return chain.length === 0 ? {} : { chain }
}

/** Events hold only the arguments that an authority names, so that an auditor can check them. All others are only in the digest. */
function namedArguments(
  levels: Levels,
  permissions: readonly number[],
  { action }: EvaluationRequest,
): { arguments?: Record<string, Scalar> } {
  const pointers = new Set(
    levels.flatMap(({ holder }, n) => {
      const permission = holder.authority.permissions[permissions[n] ?? -1]
      return permission === undefined ? [] : namedPointers(permission)
    }),
  )
  const named = [...pointers].map((pointer): [string, unknown] => [pointer, lookup(action.properties, pointer)])
  const scalars = named.filter((entry): entry is [string, Scalar] => isScalar(entry[1]))
  return scalars.length === 0 ? {} : { arguments: Object.fromEntries(scalars) }
}

const firstCovering = (levels: Levels) => levels.map(({ covering }) => covering[0]?.index ?? -1)
