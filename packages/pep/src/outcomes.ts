import { type Outcome, outcomeHash, type SigningKey, signOutcome } from '@bailiwick/credentials'
import { type ErrorCode, errorCode, ServiceError } from '@bailiwick/errors'
import { after, systemClock, withResolvers } from '@bailiwick/kit'
import { deliverOutcomes, isRefusal, type OutcomeAnswer } from './deliver-outcomes.ts'
import type { EvidenceClient } from './evidence-client.ts'
import type { OutcomeState, OutcomeStore } from './outcome-store.ts'
import type { PdpClient } from './pdp-client.ts'
import { type PendingOutcome, PendingOutcomes } from './pending-outcomes.ts'

/** What an enforcement point reports about one decision. The reporter adds who says it, when, and its place in the instance's chain. */
export type Report = Omit<
  Outcome,
  'installation' | 'enforcement_point' | 'instance' | 'sequence' | 'previous' | 'answered' | 'at' | 'enforced_by'
>

export interface OutcomeReporterOptions {
  id: string
  /** This start of the enforcement point: it counts from 1. */
  instance: string
  installation: string
  key: SigningKey<'outcome'>
  /** The point stands in the process of the agent that it decides for, and each outcome says so. */
  inProcess?: boolean
  pdp: PdpClient
  /** Gets each outcome too: once the PDP has answered it, or earlier if the PDP does not answer. */
  evidence?: EvidenceClient | undefined
  store: OutcomeStore
  /** ms since the epoch */
  now: () => number
  /** The most numbers between the newest outcome and the oldest one without an answer. */
  maxPending: number
  /** The longest pause between two attempts, in ms. */
  maxPauseMs: number
  onProblem: (problem: ServiceError) => void
}

const firstPauseMs = 50
/** If the PDP still does not know a decision after this long, the decision was never its own, and must not hold up the others. */
const unknownForMs = 60_000
const graceMs = 2000
/**
 * The least time between the starts of two saves, in ms. The first outcome after a rest is saved and sent at once, and those of a steady load
 * gather: each save costs two flushes here, and each list costs flushes of the decision point and of evidence.
 */
const gatherMs = 50
/** The most requests in flight, and how many outcomes must wait before a second one is sent. Fewer outcomes wait for the next request. */
const [mostInFlight, fewest] = [4, 16]

/**
 * Numbers, chains and signs the outcomes of one instance without gaps, and delivers them in lists, with several requests in flight, however
 * long the PDP is away. An outcome leaves this process only after it is durable. Each is delivered again until it has its last answer, so
 * no gap is final. Each outcome states the number up to which all outcomes have their last answer. The outcomes that an earlier instance
 * left are delivered first, as that instance signed them.
 */
export class OutcomeReporter implements AsyncDisposable {
  readonly #options: OutcomeReporterOptions
  readonly #pending: PendingOutcomes
  readonly #stop = new AbortController()
  #sequence = 0
  /** The state that is durable, by its last number. */
  #savedSequence = 0
  /** The last outcome that this instance signed. */
  #previous: string | undefined
  #running: Promise<void> | undefined
  #inFlight = 0
  /** When signed outcomes were last saved, by a clock that never goes back, in ms. */
  #savedAt = Number.NEGATIVE_INFINITY
  /** The next pause while the PDP as a whole does not answer, and whether a pause runs now. */
  #pauseMs = firstPauseMs
  #pausing: Promise<void> | undefined
  /** Resolves when the loop must look again. */
  #change = withResolvers<void>()
  /** The lock of the store. */
  readonly #lock: Disposable | undefined

  private constructor(options: OutcomeReporterOptions, state: OutcomeState, lock: Disposable | undefined) {
    this.#options = options
    this.#pending = new PendingOutcomes(state.pending)
    this.#lock = lock
  }

  /**
   * Continues where the last process stopped. Rejects if the store cannot be read, and with `outcomes_locked` while another process holds
   * it.
   */
  static async open(options: OutcomeReporterOptions): Promise<OutcomeReporter> {
    const lock = await options.store.lock?.()
    try {
      const state = (await options.store.load()) ?? { pending: [] }
      const reporter = new OutcomeReporter(options, state, lock)
      reporter.#wake()
      return reporter
    } catch (error) {
      lock?.[Symbol.dispose]()
      throw error
    }
  }

  /** Why no further call may start: the PDP could not learn what happens. undefined: a call may start. */
  get obstacle(): 'outcomes_unverified' | 'queue_full' | undefined {
    const { maxPending } = this.#options
    if (this.#pending.unverified('own') > 0) return 'outcomes_unverified'
    // Outcomes that an earlier instance signed with a key that was replaced may wait for ever. They must not stop this one.
    const waiting = this.#pending.size - this.#pending.unverified('left')
    return waiting >= maxPending || this.#sequence - this.#answered >= maxPending ? 'queue_full' : undefined
  }

  /** All outcomes of this instance up to this number have their last answer. */
  get #answered(): number {
    return (this.#pending.firstNumber ?? this.#sequence + 1) - 1
  }

  /** Signs now, in the order of the calls, and delivers later. Also accepts outcomes over the bound, because their effect has happened. */
  report(report: Report): void {
    const { id, instance, installation, key, inProcess, now } = this.#options
    const sequence = this.#sequence + 1
    const at = new Date(now()).toISOString()
    const chained = { sequence, ...(this.#previous === undefined ? {} : { previous: this.#previous }) }
    const place = { instance, ...chained, answered: this.#answered }
    const where = inProcess ? { enforced_by: 'in_process' as const } : {}
    const outcome = signOutcome({ ...report, installation, enforcement_point: id, ...where, ...place, at }, key)
    this.#pending.add(outcome, sequence)
    this.#sequence = sequence
    this.#previous = outcomeHash(outcome)
    this.#wake()
  }

  /** Resolves once everything reported is delivered or refused for good, or the reporter is closed. */
  async delivered(): Promise<void> {
    while (this.#running) await this.#running
  }

  #wake(): void {
    this.#changed()
    if (this.#running || this.#stop.signal.aborted || this.#pending.size === 0) return
    this.#running = this.#deliverAll().finally(() => {
      this.#running = undefined
      this.#wake()
    })
  }

  #changed(): void {
    this.#change.resolve()
    this.#change = withResolvers()
  }

  async #deliverAll(): Promise<void> {
    const stopped = this.#stop.signal
    while (this.#inFlight > 0 || (this.#pending.size > 0 && !stopped.aborted)) {
      if (this.#savedSequence < this.#sequence && !stopped.aborted) {
        const gatherFor = this.#savedAt + gatherMs - systemClock.monotonic()
        if (gatherFor > 0) await after(gatherFor, stopped).catch(() => undefined)
        this.#savedAt = systemClock.monotonic()
        if (!(await this.#trySave())) continue
      }
      const change = this.#change.promise
      this.#send()
      const isSaved = this.#savedSequence === this.#sequence || stopped.aborted
      if (isSaved && (this.#inFlight > 0 || this.#pending.size > 0)) await change
    }
    await this.#save().catch((error) => this.#tell(errorCode(error), 'the outcome store', error))
  }

  /** Saves, and returns whether all signed outcomes are durable. Pauses if they could not be saved. */
  async #trySave(): Promise<boolean> {
    try {
      await this.#save()
      return true
    } catch (error) {
      this.#tell(errorCode(error), 'the outcome store', error)
      await this.#pause()
      return false
    }
  }

  #send(): void {
    // While the PDP does not answer, one request at a time probes it.
    const most = this.#pauseMs > firstPauseMs ? 1 : mostInFlight
    while (!this.#stop.signal.aborted && this.#pausing === undefined && this.#inFlight < most) {
      const batch = this.#pending.take(this.#savedSequence, this.#inFlight === 0 ? 1 : fewest)
      if (batch.length === 0) return
      this.#inFlight++
      void this.#deliver(batch).finally(() => {
        this.#inFlight--
        this.#changed()
      })
    }
  }

  /** Never throws. */
  async #deliver(batch: readonly PendingOutcome[]): Promise<void> {
    const { pdp } = this.#options
    const answers = await deliverOutcomes(
      pdp,
      batch.map(({ jws }) => jws),
    )
    const answered = batch.filter((each, n) => this.#settle(each, answers[n]))
    this.#options.evidence?.tell(
      answered.map(({ jws }) => jws),
      true,
    )
    if (answered.length > 0) this.#pauseMs = firstPauseMs
    if (answered.length < batch.length) this.#tellUnanswered()
    // The PDP itself is away or overloaded: send nothing more to it for a while.
    if (answers.includes(undefined)) await this.#pause()
  }

  /**
   * Removes an outcome that is recorded or refused for good, and returns whether it did. Otherwise the outcome is sent again, alone, after
   * a while.
   */
  #settle(each: PendingOutcome, answer: OutcomeAnswer | undefined): boolean {
    const { now, maxPauseMs } = this.#options
    if (answer?.status === 404) each.unknownSince ??= now()
    const verdict = answer && verdictOf(answer.status, now() - (each.unknownSince ?? now()))
    if (answer === undefined || verdict === 'again') {
      if (answer?.status === 401) this.#setUnverified(each, answer)
      const pauseMs = answer === undefined ? 0 : Math.min(each.pauseMs, maxPauseMs)
      each.pauseMs *= 2
      void after(pauseMs, this.#stop.signal)
        .catch(() => undefined)
        .then(() => {
          each.isSent = false
          this.#changed()
        })
      return false
    }
    if (verdict === 'refused') this.#tell(errorCode(answer.body), refusedDetail(answer.body))
    this.#pending.delete(each)
    return true
  }

  /** Reports the first outcome of this instance that the PDP cannot verify, and the first such outcome left by an earlier instance. */
  #setUnverified(each: PendingOutcome, { body }: OutcomeAnswer): void {
    const whose = each.sequence === undefined ? 'left' : 'own'
    const isFirst = this.#pending.unverified(whose) === 0
    this.#pending.addUnverified(each)
    if (isFirst) this.#tell(errorCode(body), unverifiedDetails[whose])
  }

  /** Resolves at the end of the current pause; starts a pause if there is none. */
  #pause(): Promise<void> {
    this.#pausing ??= after(this.#pauseMs, this.#stop.signal)
      .catch(() => undefined)
      .then(() => {
        this.#pauseMs = Math.min(this.#pauseMs * 2, this.#options.maxPauseMs)
        this.#pausing = undefined
        this.#changed()
      })
    return this.#pausing
  }

  /** A PDP that never accepts the first outcome must not keep the later ones from evidence. */
  #tellUnanswered(): void {
    const untold = this.#pending.untold(this.#savedSequence)
    this.#options.evidence?.tell(untold, false)
  }

  async #save(): Promise<void> {
    const sequence = this.#sequence
    await this.#options.store.save({ pending: this.#pending.signed })
    this.#savedSequence = sequence
  }

  #tell(code: ErrorCode, detail: string, cause?: unknown): void {
    this.#options.onProblem(new ServiceError(code, detail, { cause }))
  }

  /** Gives the PDP a moment to accept the remaining outcomes; those it does not accept are kept for the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    const enough = new AbortController()
    await Promise.race([this.delivered(), after(graceMs, enough.signal).catch(() => undefined)])
    enough.abort()
    this.#stop.abort()
    this.#changed()
    await this.#running
    await this.#options.evidence?.[Symbol.asyncDispose]()
    this.#lock?.[Symbol.dispose]()
  }
}

/** Only the PDP can judge an outcome: an outcome is given up only if the PDP calls the outcome itself wrong. */
function verdictOf(status: number, unknownMs: number): 'done' | 'again' | 'refused' {
  if (status >= 200 && status < 300) return 'done'
  if (status === 404 && unknownMs < unknownForMs) return 'again'
  return isRefusal(status) ? 'refused' : 'again'
}

const unverifiedDetails = {
  own: 'the PDP cannot verify the outcomes of this enforcement point: no call is let through until the registry has its outcome key',
  left: 'the PDP cannot verify outcomes of an earlier start: they are kept, and delivered when the registry has their key',
}

/** Includes what the PDP says about it: the operator of this point must see whether it was updated too late. */
function refusedDetail(problem: unknown): string {
  const detail: unknown = Object(problem).detail
  return `an outcome was refused for good${typeof detail === 'string' ? `: ${detail.slice(0, 200)}` : ''}`
}
