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
import { newId, withDeadline } from '@bailiwick/kit'
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
  /** Its name in the registry. Replicas share it: each start is an instance, and a call and its permit belong to one instance. */
  id: string
  trust: Trust
  callerKey: SigningKey<'pep-caller'>
  outcomeKey: SigningKey<'outcome'>
  /** The PDP's public URL, as the PDP itself knows it. */
  pdpUrl: string
  /** Evidence's public URL. If set, evidence gets each outcome too, so that a PDP cannot withhold one. */
  evidenceUrl?: string
  store: OutcomeStore
  fetch?: typeof fetch
  /** ms since the epoch */
  now: () => number
  random: (n: number) => Uint8Array
  /** How long the PDP may take for one answer; default 2 s. The PDP's own deadline is 1 s. */
  timeoutMs?: number
  /** How many outcomes may wait for the PDP before further calls are refused; default 1000. */
  maxPendingOutcomes?: number
  /** The longest pause between two attempts to deliver an outcome; default 5 s. */
  maxRetryPauseMs?: number
  /** Sends the notifications that policies require (`@notify`). Without it, a decision with such an obligation is refused. */
  notify?: Notify
  /**
   * Called for problems that no answer shows: an outcome refused for good, a store that cannot be written, the cause of an `internal` call.
   */
  onProblem?: (problem: ServiceError) => void
}

export interface Call extends Observed {
  /** The caller's own id for this call. It is replaced by ours if it is missing or not valid here. */
  callId?: string | undefined
  /**
   * The action, read twice: for the decision, and again after the permit, for what is about to be executed. Give a function if other code
   * can reach the arguments in between; a difference is refused.
   */
  action: Action | (() => Action)
  /**
   * The effect itself checks its answer against `Permitted.owed`, because it streams. Otherwise `guard` checks it, and returns only the
   * checked answer.
   */
  holdsAnswer?: boolean
}

/** The effect's input: exactly what was decided, frozen. Execute from `action`, and from nothing else. */
export interface Permitted {
  readonly action: Action
  readonly actionDigest: string
  /** The name of the action in the decision's event and in the outcome: the digest, or a salted hash whose salt is in the permit. */
  readonly actionHash: string
  readonly decisionId: string
  readonly callId: string
  readonly permit: Permit
  /** The limits on the answer. */
  readonly owed: Owed
}

/** The effect's report for the outcome. Without it, a returned result is reported as `succeeded`. */
export type Effect = Pick<Outcome, 'cost' | 'egress_bytes' | 'http_status' | 'detail_hash'> & {
  status?: 'succeeded' | 'failed' | 'unknown'
}

export type Guarded<R> =
  | { readonly allowed: true; readonly decisionId: string; readonly callId: string; readonly result: R }
  | Refusal

export interface EnforcementPoint extends AsyncDisposable {
  readonly id: string
  /** This start of the enforcement point, by a random name that is part of permits, decisions and outcomes. */
  readonly instance: string
  /**
   * Why all calls are refused, for a readiness check: the PDP does not know this point (`caller_unauthenticated`) or its outcome key
   * (`outcomes_unverified`), or too many outcomes wait (`queue_full`). Based on the PDP's last answers; undefined if no problem is known.
   */
  readonly obstacle: 'caller_unauthenticated' | 'outcomes_unverified' | 'queue_full' | undefined
  /**
   * Runs `effect` once if, and only if, the PDP allowed exactly this action and the permit that says so is valid here and now (V1); then
   * reports what happened, signed. A denial is a value and means that nothing was executed. Rejects with what `effect` threw, and with
   * `request_malformed` for arguments without a canonical form. The effect's own errors are reported as `failed`, and those with code
   * `outcome_unknown` as `unknown`.
   */
  guard<R>(
    call: Call,
    effect: (permitted: Permitted) => Promise<R>,
    describe?: (result: R) => Effect | Promise<Effect>,
  ): Promise<Guarded<R>>
  /** Resolves once no outcome and no description is waiting. */
  delivered(): Promise<void>
}

type Allowed = Permitted & { readonly allowed: true }

/** How far the PDP's clock may be off. */
const leewayMs = 1000
/** How long a permit can be valid here after it was issued: the PDP's clock may be off when it starts, and again when it ends. */
const permitMs = longestPermitSeconds * 1000 + 2 * leewayMs
const graceMs = 2000

/**
 * Opens an enforcement point: it asks the PDP about every action and acts only on a verified permit. Everything unclear is denied (V13).
 */
export async function openEnforcementPoint(options: EnforcementPointOptions): Promise<EnforcementPoint> {
  const { id, trust, callerKey, now, random, notify, timeoutMs = 2000 } = options
  const onProblem = (problem: ServiceError) => {
    try {
      options.onProblem?.(problem)
    } catch {
      // There is no one left to report an error of this callback to, and it must not become a rejection that ends the process.
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
  /** Descriptions that have not resolved yet. */
  const describing = new Set<Promise<void>>()

  /** The PDP gives a call's permit only to the instance that asked first: no other instance can have used the permit given to us. */
  function callIdOf(claimed: string | undefined): string {
    return callIdSchema.safeParse(claimed).success ? (claimed as string) : newId('call', now(), random)
  }

  /** Otherwise a caller that repeats another's call id before the permit is used up would get the answer meant for the other caller. */
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

  /** Time spent on the way to the effect, waiting for the key and for notifications, is judged afterwards. */
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
    // Reports nothing: the permit may name the decision of another call, or be the old permit of a call whose effect has happened.
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

  /** Whether the preparations took so long that the permit has expired, or the time for the outcome is over. */
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

  /** The effect has happened. A description that fails, or that no outcome can hold, must not hide that. */
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

/** Turns a synchronous throw into a rejection: the function is the caller's, and may not be `async`. */
async function run<R>(effect: (permitted: Permitted) => Promise<R>, permitted: Permitted): Promise<R> {
  return effect(permitted)
}

function readAction({ action }: Call): Action {
  return typeof action === 'function' ? action() : action
}

/** An action that can no longer be read, or has no canonical form, also counts as changed. */
function isUnchanged(call: Call, { digest }: ActionSnapshot): boolean {
  try {
    return snapshotAction(readAction(call)).digest === digest
  } catch {
    return false
  }
}
