import { type Outcome, outcomeHash, type SigningKey, signOutcome } from '@bailiwick/credentials'
import { type ErrorCode, errorCode, ServiceError } from '@bailiwick/errors'
import { after } from '@bailiwick/service-kit'
import type { EvidenceClient } from './evidence-client.ts'
import type { OutcomeState, OutcomeStore } from './outcome-store.ts'
import type { PdpClient } from './pdp-client.ts'

/** What an enforcement point says of one decision; the reporter adds who says it, when, and its place in the instance's chain. */
export type Report = Omit<Outcome, 'installation' | 'enforcement_point' | 'instance' | 'sequence' | 'previous' | 'at'>

export interface OutcomeReporterOptions {
  id: string
  /** This start: it counts from 1. */
  instance: string
  installation: string
  key: SigningKey<'outcome'>
  pdp: PdpClient
  /** Told of each outcome too, when it is there. */
  evidence?: EvidenceClient | undefined
  store: OutcomeStore
  /** ms since the epoch */
  now: () => number
  /** How many undelivered outcomes may wait. */
  maxPending: number
  /** The longest pause between two attempts, in ms. */
  maxPauseMs: number
  onProblem: (problem: ServiceError) => void
}

const firstPauseMs = 50
/** A decision that the PDP does not know after this long never was one of its own, and must not hold up the others. */
const unknownForMs = 60_000
const graceMs = 2000

/**
 * Numbers, chains and signs the outcomes of one instance without gaps and delivers them in their order, however long the PDP is away. One
 * leaves this process only after it is durable. What an earlier instance left is delivered first, as that one signed it.
 */
export class OutcomeReporter implements AsyncDisposable {
  readonly #options: OutcomeReporterOptions
  readonly #pending: string[]
  readonly #stop = new AbortController()
  #sequence = 0
  /** The state that is durable, by its last number. */
  #savedSequence = 0
  /** Of the last outcome that this instance signed. */
  #previous: string | undefined
  #running: Promise<void> | undefined
  /** How many of those pending evidence was told of, from the first on. */
  #told = 0

  private constructor(options: OutcomeReporterOptions, state: OutcomeState) {
    this.#options = options
    this.#pending = [...state.pending]
  }

  /** Takes up where the last process stopped. Rejects when the store cannot be read. */
  static async open(options: OutcomeReporterOptions): Promise<OutcomeReporter> {
    const state = (await options.store.load()) ?? { pending: [] }
    const reporter = new OutcomeReporter(options, state)
    reporter.#wake()
    return reporter
  }

  /** Whether no further call may start: what happens could not be told. */
  get full(): boolean {
    return this.#pending.length >= this.#options.maxPending
  }

  /** Signs now, in the order of the calls; delivers behind. Takes what is over the bound too: its effect has happened. */
  report(report: Report): void {
    const { id, instance, installation, key, now } = this.#options
    const sequence = this.#sequence + 1
    const at = new Date(now()).toISOString()
    const chained = this.#previous === undefined ? { sequence } : { sequence, previous: this.#previous }
    const outcome = signOutcome({ ...report, installation, enforcement_point: id, instance, ...chained, at }, key)
    this.#pending.push(outcome)
    this.#sequence = sequence
    this.#previous = outcomeHash(outcome)
    this.#wake()
  }

  /** Resolves once everything that was reported is delivered or refused for good, or the reporter is closed. */
  async delivered(): Promise<void> {
    while (this.#running) await this.#running
  }

  #wake(): void {
    if (this.#running || this.#stop.signal.aborted || this.#pending.length === 0) return
    this.#running = this.#deliverAll().finally(() => {
      this.#running = undefined
      this.#wake()
    })
  }

  async #deliverAll(): Promise<void> {
    let pauseMs = firstPauseMs
    let firstTriedAt = this.#options.now()
    while (this.#pending.length > 0 && !this.#stop.signal.aborted) {
      if (await this.#deliverFirst(firstTriedAt)) {
        pauseMs = firstPauseMs
        firstTriedAt = this.#options.now()
        continue
      }
      await after(pauseMs, this.#stop.signal).catch(() => undefined)
      pauseMs = Math.min(pauseMs * 2, this.#options.maxPauseMs)
    }
    await this.#save().catch((error) => this.#tell(errorCode(error), 'the outcome store', error))
  }

  /** Whether the first one is done with: delivered, or refused for good. Throws nothing. */
  async #deliverFirst(firstTriedAt: number): Promise<boolean> {
    const [outcome] = this.#pending
    try {
      if (this.#savedSequence < this.#sequence) await this.#save()
      this.#tellEvidence()
      const { status, body } = await this.#options.pdp.call('POST', '/v1/outcomes', { outcome })
      const verdict = verdictOf(status, this.#options.now() - firstTriedAt)
      if (verdict === 'again') return false
      if (verdict === 'refused') this.#tell(codeIn(body), refusedDetail(body))
      this.#pending.shift()
      this.#told--
      return true
    } catch (error) {
      if (errorCode(error) !== 'pdp_unavailable') this.#tell(errorCode(error), 'the outcome store', error)
      return false
    }
  }

  /** Of all whose numbers are durable: a PDP that never takes the first one must not keep those behind it from evidence. */
  #tellEvidence(): void {
    const durable = this.#pending.length - (this.#sequence - this.#savedSequence)
    for (const outcome of this.#pending.slice(this.#told, durable)) this.#options.evidence?.tell(outcome)
    this.#told = Math.max(this.#told, durable)
  }

  async #save(): Promise<void> {
    const sequence = this.#sequence
    await this.#options.store.save({ pending: [...this.#pending] })
    this.#savedSequence = sequence
  }

  #tell(code: ErrorCode, detail: string, cause?: unknown): void {
    this.#options.onProblem(new ServiceError(code, detail, { cause }))
  }

  /** Gives the PDP a moment to take what is left; the rest is kept for the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    const enough = new AbortController()
    await Promise.race([this.delivered(), after(graceMs, enough.signal).catch(() => undefined)])
    enough.abort()
    this.#stop.abort()
    await this.#running
    await this.#options.evidence?.[Symbol.asyncDispose]()
  }
}

/** Nobody but the PDP can judge an outcome: only what it calls wrong in itself is given up. */
function verdictOf(status: number, triedForMs: number): 'done' | 'again' | 'refused' {
  if (status >= 200 && status < 300) return 'done'
  if (status === 404) return triedForMs < unknownForMs ? 'again' : 'refused'
  return [400, 409, 413, 415, 422].includes(status) ? 'refused' : 'again'
}

/** With what the PDP says of it: who runs this point must see whether it was updated too late. */
function refusedDetail(problem: unknown): string {
  const detail: unknown = Object(problem).detail
  return `an outcome was refused for good${typeof detail === 'string' ? `: ${detail.slice(0, 200)}` : ''}`
}

function codeIn(problem: unknown): ErrorCode {
  return errorCode(problem)
}
