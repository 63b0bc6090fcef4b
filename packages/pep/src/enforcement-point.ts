import { setImmediate } from 'node:timers/promises'
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
import { askBudget, type BudgetLeft, type Planned } from './budget.ts'
import { CallLife } from './call-life.ts'
import { askPdp, type ClaimedAllow, type Observed } from './decision.ts'
import { EvidenceClient } from './evidence-client.ts'
import { type Duties, doneHere, isSigned, limitsAnswer, type Notify, readDuties, sendAll } from './obligations.ts'
import { OpenCalls } from './open-calls.ts'
import type { OutcomeStore } from './outcome-store.ts'
import { OutcomeReporter } from './outcomes.ts'
import { PdpClient } from './pdp-client.ts'
import { PermitKeys } from './permit-keys.ts'
import type { PointFetch } from './point-fetch.ts'
import { isCallId } from './presented.ts'
import { encodeRandom } from './random-text.ts'
import { type Refusal, refusal } from './refusal.ts'
import { continuesOf, type Round, roundOf } from './round.ts'
import { type Found, type Search, searchPdp } from './search.ts'
import { SingleUse } from './single-use.ts'
import { statusOf } from './status-of-error.ts'

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
  /** It stands in the process of the agent that it decides for, so it enforces nothing. Each outcome says so (`enforced_by`). */
  inProcess?: boolean
  fetch?: PointFetch
  /** ms since the epoch */
  now: () => number
  random: (n: number) => Uint8Array
  /** How long the PDP may take for one answer; default 2 s. The PDP's own deadline is 1 s. */
  timeoutMs?: number
  /** How many outcomes may wait for the PDP before further calls are refused; default 1000. */
  maxPendingOutcomes?: number
  /** The longest pause between two attempts to deliver an outcome; default 5 s. */
  maxRetryPauseMs?: number
  /**
   * How long a call may go on while the PDP does not confirm that its grant still stands; default 2 s. Then the call is cut
   * (`Permitted.signal`).
   */
  maxSilenceMs?: number
  /** Sends the notifications that policies require (`@notify`). Without it, a decision with such an obligation is refused. */
  notify?: Notify
  /**
   * Called for problems that no answer shows: an outcome refused for good, a store that cannot be written, the cause of an `internal` call.
   */
  onProblem?: (problem: ServiceError) => void
}

export interface Call extends Observed {
  /** The caller's own id for this call; one of ours if it has none. What is no call id is refused (`request_malformed`). */
  callId?: string | undefined
  /**
   * The action, read twice: for the decision, and again after the permit, for what is about to be executed. Give a function if other code
   * can reach the arguments in between; a difference is refused. The function gets the copy of `bytes`.
   */
  action: Action | ((bytes: Uint8Array) => Action)
  /**
   * The bytes that are forwarded, of which the action is a view. They are copied before the action is read for the first time, and the
   * effect finds that copy in `Permitted.bytes`: what was decided on is what is sent, even if the original changes.
   */
  bytes?: Uint8Array
  /**
   * The effect itself checks its answer against `Permitted.owed`, because it streams. Otherwise `guard` checks it, and returns only the
   * checked answer.
   */
  holdsAnswer?: boolean
  /**
   * The effect happens where this point cannot see it: a proxy asked, and carries it out. Nothing of the answer can then be hidden, limited
   * or cut, and the proxy may be late, so a decision that demands any of it is refused (`obligation_unsupported`). The outcome is
   * `not_observed`, unless `describe` has another source that says what happened, except what it cost. It may resolve late, within
   * `answerSeconds`.
   */
  isUnseen?: boolean
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
  /** The copy of `Call.bytes`: send these. Empty if there were none. */
  readonly bytes: Uint8Array
  /** The limits on the answer. */
  readonly owed: Owed
  /**
   * This round of the call. If the server answers with questions, report the effect as `continued`, and give this as `Call.continues` of the
   * call that brings the answers: it then takes no further call, use or money. Undefined for a call that began with answers.
   */
  readonly round: Round | undefined
  /**
   * Aborted when the call must end before its outcome: its grant was withdrawn or is over, the PDP has not confirmed it for too long, its
   * time is over, or this point closes. The reason is a ServiceError `stream_cut` whose `detail` is the reason code. An effect that goes on
   * for more than a moment, its description included, must then stop sending and answering, and throw that reason or report it as `cut`.
   */
  readonly signal: AbortSignal
}

/** The effect's report for the outcome. Without it, a returned result is reported as `succeeded`. */
export type Effect = Pick<Outcome, 'cost' | 'tokens' | 'egress_bytes' | 'http_status' | 'detail_hash' | 'cut'> & {
  /** `continued`: the server answered with questions, and nothing goes on until a further round brings the answers. */
  status?: 'succeeded' | 'failed' | 'continued' | 'unknown' | 'not_observed'
}

export type Guarded<R> =
  | { readonly allowed: true; readonly decisionId: string; readonly callId: string; readonly result: R }
  | Refusal

export interface EnforcementPoint extends AsyncDisposable {
  readonly id: string
  /** This start of the enforcement point, by a random name that is part of permits, decisions and outcomes. */
  readonly instance: string
  /** Whether it stands in the process of the agent that it decides for, as its outcomes then say. */
  readonly isInProcess: boolean
  /**
   * Why all calls are refused, for a readiness check: the PDP does not know this point (`caller_unauthenticated`) or its outcome key
   * (`outcomes_unverified`), or too many outcomes wait (`queue_full`). Based on the PDP's last answers; undefined if no problem is known.
   */
  readonly obstacle: 'caller_unauthenticated' | 'outcomes_unverified' | 'queue_full' | undefined
  /**
   * Runs `effect` once if, and only if, the PDP allowed exactly this action and the permit that says so is valid here and now (V1); then
   * reports what happened, signed. A denial is a value and means that nothing was executed. Rejects with what `effect` threw, and with
   * `request_malformed` for arguments without a canonical form. The effect's own errors are reported as `failed`, those that leave open
   * whether anything happened as `unknown` (`outcome_unknown`, `stream_cut`, and those of an upstream that was sent something), and those that say
   * that certainly nothing did as `not_executed` (`call_not_begun`, `call_in_progress`, `upstream_unreachable`, `upstream_busy`, `upstream_address_forbidden`,
   * `secret_unavailable`, and those before a session with an application is there).
   */
  guard<R>(
    call: Call,
    effect: (permitted: Permitted) => Promise<R>,
    describe?: (result: R) => Effect | Promise<Effect>,
  ): Promise<Guarded<R>>
  /**
   * Watches the grant behind an ALLOW of this start, even after its call is over: for anything that a call leaves behind, such as a
   * process. `cut` is called once, with the reason why the grant allows nothing any more, or with `pdp_unavailable` if the PDP does not
   * confirm it.
   */
  watch(decisionId: string, cut: (reason: string) => void): Disposable
  /** What the caller could do now, by the same policies and limits as a call. It permits nothing and leaves no evidence. */
  search(search: Search): Promise<Found | Refusal>
  /** What is left of the caller's budget for an action that is not decided yet. It reserves nothing, and leaves no evidence. */
  budget(planned: Planned): Promise<BudgetLeft | Refusal>
  /** Resolves once no outcome and no description is waiting. */
  delivered(): Promise<void>
}

type Allowed = { readonly allowed: true; readonly permitted: Permitted; readonly life: CallLife }

/** A call's action, and the bytes that it was read from: a copy that nothing else can change. */
interface Read {
  readonly snapshot: ActionSnapshot
  readonly bytes: Uint8Array
}

/** How far the PDP's clock may be off. */
const leewayMs = 1000
/** How long a permit can be valid here after it was issued: the PDP's clock may be off when it starts, and again when it ends. */
const permitMs = longestPermitSeconds * 1000 + 2 * leewayMs
const graceMs = 2000

/**
 * Opens an enforcement point: it asks the PDP about every action and acts only on a verified permit. Everything unclear is denied (V13).
 */
export async function openEnforcementPoint(options: EnforcementPointOptions): Promise<EnforcementPoint> {
  const { id, trust, callerKey, now, random, notify, timeoutMs = 2000, inProcess = false } = options
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
    inProcess,
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
  const openCalls = new OpenCalls({ pdp, maxSilenceMs: options.maxSilenceMs ?? 2000 })
  /** Calls whose outcome is not reported yet. */
  const lives = new Set<CallLife>()
  /** Descriptions that have not resolved yet. */
  const describing = new Set<Promise<void>>()
  /** Calls that are being decided. */
  const permitting = new Set<Promise<unknown>>()
  let isClosed = false

  /** Otherwise a caller that repeats another's call id before the permit is used up would get the answer meant for the other caller. */
  async function permitOf(call: Call, { snapshot, bytes }: Read, callId: string): Promise<Allowed | Refusal> {
    if (deciding.has(callId)) return refusal('call_in_progress')
    deciding.add(callId)
    try {
      const supported = doneHere(notify, call.isUnseen)
      const by = { installation: trust.installation, enforcement_point: id, instance, call_id: callId }
      const continues = call.continues && continuesOf(call.continues, by, callerKey)
      const claimed = await askPdp(pdp, snapshot, call, callId, { supported, continues })
      if ('allowed' in claimed) return await redeem(claimed, call, { snapshot, bytes }, callId)
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
    { snapshot, bytes }: Read,
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
    // The decision point was told that nothing of the kind can be done here.
    if (call.isUnseen && limitsAnswer(duties)) return notExecuted('obligation_unsupported')
    const sent = await sendDue(duties)
    if (!isSigned(claimed.conditions, obligations) || !duties.complete) return notExecuted('obligation_unknown')
    if (!sent || isOver(permit, duties)) return notExecuted('obligation_failed')
    if (!isUnchanged(call, snapshot, bytes)) return notExecuted('permit_action_mismatch')
    const life = new CallLife(openCalls, decisionId, answerMsOf(call))
    lives.add(life)
    if (isClosed) life.cut('point_closed')
    return {
      allowed: true,
      life,
      permitted: {
        decisionId,
        callId,
        permit,
        action: snapshot.action,
        actionDigest: snapshot.digest,
        actionHash,
        bytes,
        owed: duties.owed,
        round: roundOf(permit, snapshot, { continued: call.continues, actionHash }),
        signal: life.signal,
      },
    }
  }

  function end(life: CallLife): void {
    life[Symbol.dispose]()
    lives.delete(life)
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
  function reportResult(
    { permitted, life }: Allowed,
    describe: () => Effect | Promise<Effect>,
    measured: Effect,
  ): void {
    const tell = (effect: Effect) => {
      report(permitted, { status: 'succeeded', ...effect })
      end(life)
    }
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
        .then(afterTheAnswer)
        .then((effect) => tell({ ...measured, ...effect }))
        .catch(undescribed)
        .finally(() => describing.delete(told))
      describing.add(told)
    } catch (error) {
      undescribed(error)
    }
  }

  /** Throws `answer_withheld`, once it is reported that the effect happened and that nothing left. */
  function held<R>({ holdsAnswer }: Call, allowed: Allowed, result: R, describe: (result: R) => object): Held<R> {
    if (holdsAnswer) return { answer: result, bytes: undefined }
    try {
      return holdAnswer(result, allowed.permitted.owed)
    } catch (error) {
      reportResult(allowed, async () => ({ ...(await describe(result)), egress_bytes: 0 }), { egress_bytes: 0 })
      throw error
    }
  }

  async function allDescribed(): Promise<void> {
    while (describing.size > 0) await Promise.all(describing)
  }

  return {
    id,
    instance,
    isInProcess: inProcess,
    get obstacle() {
      return pdp.isKnown ? outcomes.obstacle : 'caller_unauthenticated'
    },
    async guard(call, effect, describe = () => ({})) {
      const bytes = new Uint8Array(call.bytes ?? [])
      const snapshot = snapshotAction(readAction(call, bytes))
      if (outcomes.obstacle) return refusal(outcomes.obstacle)
      if (!isCallId(call.callId)) return refusal('request_malformed')
      // The PDP gives a call's permit only to the instance that asked first: no other one can have used the permit given to us.
      const { callId = newId('call', now(), random) } = call
      const decision = permitOf(call, { snapshot, bytes }, callId)
      permitting.add(decision)
      const allowed = await decision.finally(() => permitting.delete(decision))
      if (!allowed.allowed) return allowed
      const { permitted, life } = allowed
      // Its grant ended, or this point closed, before anything was done.
      if (life.signal.aborted) {
        report(permitted, { status: 'not_executed' })
        end(life)
        return refusal('call_not_begun', { decisionId: permitted.decisionId })
      }
      const result = await run(effect, permitted).catch((error: unknown) => {
        report(permitted, statusOf(error))
        end(life)
        throw error
      })
      if (call.isUnseen) {
        // A withdrawal cannot cut it any more.
        end(life)
        const seen = () => {
          const described = describe(result)
          return described instanceof Promise ? described.then(withoutCost) : withoutCost(described)
        }
        reportResult(allowed, seen, { status: 'not_observed' })
        return { allowed: true, decisionId: permitted.decisionId, callId, result }
      }
      const { answer, bytes: sent } = held(call, allowed, result, describe)
      reportResult(allowed, () => describe(result), sent === undefined ? {} : { egress_bytes: sent })
      return { allowed: true, decisionId: permitted.decisionId, callId, result: answer }
    },
    watch: (decisionId, cut) => openCalls.watch(decisionId, cut),
    search: (search) => searchPdp(pdp, search),
    budget: (planned) => askBudget(pdp, planned),
    async delivered() {
      await allDescribed()
      await outcomes.delivered()
    },
    async [Symbol.asyncDispose]() {
      isClosed = true
      for (const life of lives) life.cut('point_closed')
      await withDeadline(Promise.allSettled(permitting), graceMs).catch(() => undefined)
      openCalls[Symbol.dispose]()
      await withDeadline(allDescribed(), graceMs).catch(() => undefined)
      await outcomes[Symbol.asyncDispose]()
    },
  }
}

/** Lets an answer that is ready go out first: signing its outcome takes as long as a permit's verification, and nothing waits for it. */
async function afterTheAnswer<T>(effect: T): Promise<T> {
  await setImmediate()
  return effect
}

/** Turns a synchronous throw into a rejection: the function is the caller's, and may not be `async`. */
async function run<R>(effect: (permitted: Permitted) => Promise<R>, permitted: Permitted): Promise<R> {
  return effect(permitted)
}

function readAction({ action }: Call, bytes: Uint8Array): Action {
  return typeof action === 'function' ? action(bytes) : action
}

/** What another source says of an effect out of sight. A cost would give something of the reservation back (V9). */
const withoutCost = ({ cost: _, ...effect }: Effect): Effect => effect

const answerMsOf = ({ answerSeconds }: Call) => (answerSeconds === undefined ? undefined : answerSeconds * 1000)

/** An action that can no longer be read, or has no canonical form, also counts as changed. */
function isUnchanged(call: Call, { digest }: ActionSnapshot, bytes: Uint8Array): boolean {
  try {
    return snapshotAction(readAction(call, bytes)).digest === digest
  } catch {
    return false
  }
}
