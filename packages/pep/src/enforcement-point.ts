import { callIdSchema } from '@bailiwick/contracts'
import {
  type Action,
  claimedKeyId,
  longestPermitSeconds,
  type Outcome,
  type Permit,
  permittedHash,
  type SigningKey,
  type Trust,
  verifyPermit,
} from '@bailiwick/credentials'
import { errorCode, ServiceError } from '@bailiwick/errors'
import { newId, withDeadline } from '@bailiwick/service-kit'
import { type ActionSnapshot, snapshotAction } from './action-snapshot.ts'
import { type Held, holdAnswer, type Owed } from './answer.ts'
import { askPdp, type ClaimedAllow, type Observed } from './decision.ts'
import { EvidenceClient } from './evidence-client.ts'
import { type Duties, doneHere, isSigned, type Notify, readDuties, sendAll } from './obligations.ts'
import type { OutcomeStore } from './outcome-store.ts'
import { OutcomeReporter } from './outcomes.ts'
import { PdpClient } from './pdp-client.ts'
import { PermitKeys } from './permit-keys.ts'
import { encodeRandom } from './random-text.ts'
import { type Refusal, refusal } from './refusal.ts'
import { SingleUse } from './single-use.ts'

export interface EnforcementPointOptions {
  /** Its name in the registry. Replicas share it: each start is an instance, and a call and its permit belong to one of them. */
  id: string
  trust: Trust
  callerKey: SigningKey<'pep-caller'>
  outcomeKey: SigningKey<'outcome'>
  /** The PDP's public URL, as the PDP itself knows it. */
  pdpUrl: string
  /** Evidence's public URL: it is told of each outcome too, so that a PDP cannot keep one to itself. Unless given, it is not. */
  evidenceUrl?: string
  store: OutcomeStore
  fetch?: typeof fetch
  /** ms since the epoch */
  now: () => number
  random: (n: number) => Uint8Array
  /** How long the PDP may take for one answer: 2 s unless told; its own deadline is 1 s. */
  timeoutMs?: number
  /** How many outcomes may wait for the PDP before no further call is let through: 1000 unless told. */
  maxPendingOutcomes?: number
  /** The longest pause between two attempts to deliver an outcome: 5 s unless told. */
  maxRetryPauseMs?: number
  /** Sends what policies want to be told of (`@notify`). Without it a decision that obliges to a notification is refused. */
  notify?: Notify
  /** Told of what no answer tells: an outcome that was refused for good, a store that cannot be written, why a call is `internal`. */
  onProblem?: (problem: ServiceError) => void
}

export interface Call extends Observed {
  /** The caller's own id for this call; ours when it is none, or none that counts here. */
  callId?: string | undefined
  /**
   * The action, read twice: to be decided, and again after the permit, for what is about to be executed. Give a function where
   * other code can reach the arguments in between; a difference is refused.
   */
  action: Action | (() => Action)
  /** The effect itself holds its answer to `Permitted.owed`, since it streams: else `guard` does, and gives no other. */
  holdsAnswer?: boolean
}

/** What the effect is given: exactly what was decided, frozen. Execute from `action`, and from nothing else. */
export interface Permitted {
  readonly action: Action
  readonly actionDigest: string
  /** What the decision's event names the action by, and the outcome: the digest, or a salted hash whose salt the permit holds. */
  readonly actionHash: string
  readonly decisionId: string
  readonly callId: string
  readonly permit: Permit
  /** What may leave of the answer. */
  readonly owed: Owed
}

/** What happened, for the outcome. Without one, a result is `succeeded`. */
export type Effect = Pick<Outcome, 'cost' | 'egress_bytes' | 'http_status' | 'detail_hash'> & {
  status?: 'succeeded' | 'failed' | 'unknown'
}

export type Guarded<R> =
  | { readonly allowed: true; readonly decisionId: string; readonly callId: string; readonly result: R }
  | Refusal

export interface EnforcementPoint extends AsyncDisposable {
  readonly id: string
  /** This start of it, by a random name: it stands in permits, decisions and outcomes. */
  readonly instance: string
  /**
   * Why no call is let through, for a readiness check: the PDP does not know this point (`caller_unauthenticated`) or its outcome key
   * (`outcomes_unverified`), or too many outcomes wait (`queue_full`). By the PDP's last answers; undefined when nothing is known to be wrong.
   */
  readonly obstacle: 'caller_unauthenticated' | 'outcomes_unverified' | 'queue_full' | undefined
  /**
   * Runs `effect` once if, and only if, the PDP allowed exactly this action and the permit that says so holds here and now (V1);
   * then reports what happened, signed. A "no" is a value and means that nothing was executed. Rejects with what `effect` threw,
   * and with `request_malformed` for arguments without a canonical form. The effect's own errors are reported as `failed`, with
   * code `outcome_unknown` as `unknown`.
   */
  guard<R>(
    call: Call,
    effect: (permitted: Permitted) => Promise<R>,
    describe?: (result: R) => Effect | Promise<Effect>,
  ): Promise<Guarded<R>>
  /** Resolves once no outcome waits any more, nor a description. */
  delivered(): Promise<void>
}

type Allowed = Permitted & { readonly allowed: true }

/** How far the PDP's clock may be off. */
const leewayMs = 1000
/** How long a permit can count here from the moment that it was given: its clock may be ahead when it starts, and again when it ends. */
const permitMs = longestPermitSeconds * 1000 + 2 * leewayMs
const graceMs = 2000

/** Opens an enforcement point: it asks for every action and acts on a verified permit alone. Everything unclear is a "no" (V13). */
export async function openEnforcementPoint(options: EnforcementPointOptions): Promise<EnforcementPoint> {
  const { id, trust, callerKey, now, random, notify, timeoutMs = 2000 } = options
  const onProblem = (problem: ServiceError) => {
    try {
      options.onProblem?.(problem)
    } catch {
      // What throws here has nobody left to tell, and must not become a rejection that ends the process.
    }
  }
  const instance = encodeRandom(random)
  const pdpUrl = options.pdpUrl.replace(/\/+$/, '')
  const pdp = new PdpClient({
    id,
    instance,
    callerKey,
    pdpUrl,
    fetch: options.fetch ?? fetch,
    now,
    random,
    timeoutMs,
    onProblem,
  })
  const outcomes = await OutcomeReporter.open({
    id,
    instance,
    installation: trust.installation,
    key: options.outcomeKey,
    pdp,
    evidence:
      options.evidenceUrl === undefined
        ? undefined
        : new EvidenceClient({
            evidenceUrl: options.evidenceUrl,
            fetch: options.fetch ?? fetch,
            timeoutMs,
            onProblem,
          }),
    store: options.store,
    now,
    maxPending: options.maxPendingOutcomes ?? 1000,
    maxPauseMs: options.maxRetryPauseMs ?? 5000,
    onProblem,
  })
  const permitKeys = new PermitKeys(pdp, trust, now)
  const used = new SingleUse()
  const deciding = new Set<string>()
  /** Descriptions that are still to come. */
  const describing = new Set<Promise<void>>()

  /** The PDP gives a call's permit to the instance alone that asked first: no other one can have used what we are given. */
  function callIdOf(claimed: string | undefined): string {
    return callIdSchema.safeParse(claimed).success ? (claimed as string) : newId('call', now(), random)
  }

  /** Whoever repeats another's call id before the permit is used up would be given the answer that is meant for the other. */
  async function permitOf(call: Call, snapshot: ActionSnapshot, callId: string): Promise<Allowed | Refusal> {
    if (deciding.has(callId)) return refusal('call_in_progress')
    deciding.add(callId)
    try {
      const claimed = await askPdp(pdp, snapshot, call, callId, doneHere(notify))
      if ('allowed' in claimed) return await redeem(claimed, call, snapshot, callId)
      await sendDue(readDuties(claimed.conditions, notify))
      return claimed.refusal
    } catch (error) {
      if (errorCode(error) === 'pdp_unavailable') return refusal('pdp_unavailable')
      onProblem(new ServiceError('internal', 'a call could not be decided', { cause: error }))
      return refusal('internal')
    } finally {
      deciding.delete(callId)
    }
  }

  async function sendDue({ notifications }: Duties): Promise<boolean> {
    const sent = await sendAll(notifications, notify, timeoutMs)
    if (!sent) onProblem(new ServiceError('obligation_failed', 'a notification was not sent'))
    return sent
  }

  /** What waits on the way to the effect, for the key and for notifications, is judged after it. */
  async function redeem(
    claimed: ClaimedAllow,
    call: Call,
    snapshot: ActionSnapshot,
    callId: string,
  ): Promise<Allowed | Refusal> {
    const { decisionId } = claimed
    const kid = claimedKeyId(claimed.permit)
    const key = kid === undefined ? undefined : await permitKeys.find(kid)
    if (!key) return refusal('permit_invalid', { decisionId })
    const verified = verifyPermit({
      permit: claimed.permit,
      key,
      issuer: pdpUrl,
      enforcementPoint: id,
      instance,
      actionDigest: snapshot.digest,
      now: now(),
      leewayMs,
    })
    // Nothing is reported: it may name the decision of another call, or be the old permit of one whose effect has happened.
    if (!verified.ok || verified.value.jti !== decisionId) return refusal('permit_invalid', { decisionId })
    if (!used.take(decisionId, now() + permitMs, now())) return refusal('permit_used', { decisionId })
    const permit = verified.value
    const actionHash = permittedHash(permit, snapshot.text)
    const notExecuted = (reason: Refusal['reason']) => {
      report({ decisionId, callId, actionHash }, { status: 'not_executed' })
      return refusal(reason, { decisionId })
    }
    const { obligations = [] } = permit
    const duties = readDuties(obligations, notify)
    const sent = await sendDue(duties)
    if (!isSigned(claimed.conditions, obligations) || !duties.complete) return notExecuted('obligation_unknown')
    if (!sent || isOver(permit, duties)) return notExecuted('obligation_failed')
    if (!isUnchanged(call, snapshot)) return notExecuted('permit_action_mismatch')
    return {
      allowed: true,
      decisionId,
      callId,
      permit,
      action: snapshot.action,
      actionDigest: snapshot.digest,
      actionHash,
      owed: duties.owed,
    }
  }

  /** Whether it took so long to do what had to be done first that the permit is over, or the time for the outcome. */
  function isOver({ iat, exp }: Permit, { notifications, reportSeconds }: Duties): boolean {
    const late = notifications.length > 0 && now() >= exp * 1000 + leewayMs
    return late || (reportSeconds !== undefined && now() >= (iat + reportSeconds) * 1000 + leewayMs)
  }

  function report(
    { decisionId, callId, actionHash }: Pick<Permitted, 'decisionId' | 'callId' | 'actionHash'>,
    effect: Omit<Effect, 'status'> & { status: Outcome['status'] },
  ): void {
    outcomes.report({ ...effect, decision_id: decisionId, call_id: callId, action_digest: actionHash })
  }

  /** The effect has happened: a description that fails, or says what no outcome can, must not hide that. */
  function reportResult(permitted: Permitted, describe: () => Effect | Promise<Effect>, measured: Effect): void {
    const tell = (effect: Effect) => report(permitted, { status: 'succeeded', ...effect })
    const undescribed = (cause: unknown) => {
      tell(measured)
      onProblem(new ServiceError('internal', 'an effect could not be described', { cause }))
    }
    try {
      const described = describe()
      if (!(described instanceof Promise)) {
        tell({ ...measured, ...described })
        return
      }
      const told: Promise<void> = described
        .then((effect) => tell({ ...measured, ...effect }))
        .catch(undescribed)
        .finally(() => describing.delete(told))
      describing.add(told)
    } catch (error) {
      undescribed(error)
    }
  }

  /** Throws `answer_withheld`, once it is reported that the effect happened and that nothing left. */
  function held<R>({ holdsAnswer }: Call, permitted: Permitted, result: R, describe: (result: R) => object): Held<R> {
    if (holdsAnswer) return { answer: result, bytes: undefined }
    try {
      return holdAnswer(result, permitted.owed)
    } catch (error) {
      reportResult(permitted, async () => ({ ...(await describe(result)), egress_bytes: 0 }), { egress_bytes: 0 })
      throw error
    }
  }

  async function allDescribed(): Promise<void> {
    while (describing.size > 0) await Promise.all(describing)
  }

  return {
    id,
    instance,
    get obstacle() {
      return pdp.isKnown ? outcomes.obstacle : 'caller_unauthenticated'
    },
    async guard(call, effect, describe = () => ({})) {
      const snapshot = snapshotAction(readAction(call))
      if (outcomes.obstacle) return refusal(outcomes.obstacle)
      const callId = callIdOf(call.callId)
      const permitted = await permitOf(call, snapshot, callId)
      if (!permitted.allowed) return permitted
      const result = await run(effect, permitted).catch((error: unknown) => {
        report(permitted, { status: errorCode(error) === 'outcome_unknown' ? 'unknown' : 'failed' })
        throw error
      })
      const { answer, bytes } = held(call, permitted, result, describe)
      reportResult(permitted, () => describe(result), bytes === undefined ? {} : { egress_bytes: bytes })
      return { allowed: true, decisionId: permitted.decisionId, callId, result: answer }
    },
    async delivered() {
      await allDescribed()
      await outcomes.delivered()
    },
    async [Symbol.asyncDispose]() {
      await withDeadline(allDescribed(), graceMs).catch(() => undefined)
      await outcomes[Symbol.asyncDispose]()
    },
  }
}

/** A throw of a function that is none of ours to have been `async` is a rejection too. */
async function run<R>(effect: (permitted: Permitted) => Promise<R>, permitted: Permitted): Promise<R> {
  return effect(permitted)
}

function readAction({ action }: Call): Action {
  return typeof action === 'function' ? action() : action
}

/** Also no longer readable, or without a canonical form, is changed. */
function isUnchanged(call: Call, { digest }: ActionSnapshot): boolean {
  try {
    return snapshotAction(readAction(call)).digest === digest
  } catch {
    return false
  }
}
