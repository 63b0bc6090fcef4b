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
import type { Duties } from '@bailiwick/policy'
import { actingAgent, type Draft, type SpendView } from '@bailiwick/projection'
import { newId, withDeadline } from '@bailiwick/service-kit'
import type { CallingPoint } from './callers.ts'
import { isCaughtUp } from './catch-up.ts'
import { actedAs, isScalar, type Levels, type Scalar } from './chain.ts'
import type { Pdp } from './context.ts'
import { type EvaluationRequest, isNameable } from './evaluation-request.ts'
import type { Place } from './intake.ts'
import { judgeCover, judgeSpend, type StepUpNeeds } from './judge.ts'
import { coveredDeadReason, findStanding, type Standing, waitsForHuman } from './life.ts'
import { least, spellObligations } from './obligations.ts'
import type { Prepared } from './shadow.ts'
import type { StepUp } from './step-ups.ts'
import type { Outbid, Planned, TreeQueues, Work } from './tree-queue.ts'
import type { Turn } from './turns.ts'
import { type Claim, readCredential, verifyCredential } from './verify-credential.ts'

export interface Allowed {
  decision: true
  decisionId: string
  callId: string
  /** Single use, for this digest, within seconds. */
  permit: string
  /** ms since the epoch */
  permitEndsAt: number
  outcomeDue: string
  /** As they stand in the permit, signed. */
  obligations: readonly Obligation[]
}

export interface Denied {
  decision: false
  decisionId: string
  callId: string | undefined
  reason: DenialReason
  /** What is known of who asked; for evidence. */
  token?: AccessToken
  /** The caller did not prove that it holds the credential's key. */
  unproven?: true
  digest?: string
  policies?: readonly string[]
  /** Which set it was judged by, if it came so far. */
  policySet?: string
  /** The living grant that lacks only a human's word for this action (step-up); its binding token names it. */
  grant?: string
  /** Of a step-up: whether the approver's yes must let this action through, or reopen the task as well. */
  needs?: StepUpNeeds
  /** What is to be done although nothing happens. */
  duties?: Duties
  /** Of a step-up: the arguments that the authority names. */
  arguments?: Record<string, Scalar>
}

export type Answer = Allowed | Denied

const permitSeconds = 5

/** How the call came. */
export interface From {
  /** Its place among those of one request. */
  turn?: Turn | undefined
  /** Whether its caller no longer waits for the answer. */
  isGone?: (() => boolean) | undefined
}

type Deny = (reason: DenialReason, more?: Partial<Denied>) => Denied

/**
 * One decision, by the steps of DESIGN §7.4 in their order; the first refusal wins. ALLOW only after its event is durable and
 * counts, and after freshness and life were seen to hold once more (V2, V7, V8). The deadline counts from when the call is begun.
 * Never throws for what a caller sent, but `queue_full` for an agent, or a tree, that has enough under way, and
 * `decision_quota_exceeded` for one that asks too much.
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

/** Whose it is and for what is known: steps 2 to 8. */
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
  // Whatever holds another item up, this one has its own deadline.
  // Those that it waits for must be able to begin.
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
  // What the authority names of its arguments, as an ALLOW would say it: a person must see what is to be done once more.
  return { ...answer, ...known, grant: tree.id, ...namedArguments(levels, firstCovering(levels), request) }
}

/**
 * Why an ALLOW that this instance gave is not given again to whoever asks so now: without the key, or for what was revoked meanwhile, it is
 * none (V7, V11). The very proof that it was given for may come again: it counted once.
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
  /** What the event of an ALLOW holds as a salted hash; the salt leaves in the permit, and with the call where calls are kept. */
  #call: SaltedText | undefined
  /** One for a decision, also where it is evaluated again: its event that is void and the one that counts name the call alike. */
  #salt: string | undefined
  #isKept = false
  #obligations: readonly Obligation[] = []
  #stepUp: StepUp | undefined
  /** What a candidate is asked once this is answered. */
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
    // Another instance may have counted it where the grant store could not say so: the log does (V10).
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
    // A caller that has gone hears no answer, so the reservation of its call is given back.
    const dead =
      this.#answered || this.#question.isGone?.()
        ? 'deadline_exceeded'
        : (coveredDeadReason(this.#pdp, standing, claim, request) ?? this.#humanGone())
    if (dead) {
      // Without a step-up it was the task that lapsed meanwhile.
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
   * What the event names the action by. The digest has no salt, so that few possible arguments can be tried; it stands there only where
   * a human signed it, and whoever audits must compare the two.
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

  /** While the decision became durable, the yes that it stands on was taken back, or was of somebody who was revoked (V7). */
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

  /** It may count yet: nobody was told ALLOW, so if it does, it is taken back. */
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
    // Behind the answer, which nothing that a candidate says can reach.
    this.#pdp.shadow.ask(answer.decisionId, this.#shadow)
  }
}

/** The links that the action was allowed under, each with the permission of its own that is charged. */
function chained([, ...links]: Levels, permissions: readonly number[]) {
  const chain = links.map(({ holder: { id, agent } }, n) => ({
    delegation_id: id,
    agent,
    permission: permissions[n] ?? 0,
  }))
  return chain.length === 0 ? {} : { chain }
}

/** Only the arguments that an authority names stand in events, so that an auditor can judge them by it; all others in the digest. */
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
