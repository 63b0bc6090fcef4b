import { readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseStrictJson } from '@bailiwick/contracts'
import { claimedPoint, type Outcome, sha256, type Trust, verifyingKey, verifyOutcome } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Voice } from '@bailiwick/projection'
import { type Clock, type Logger, type Metrics, writeFileDurably } from '@bailiwick/service-kit'
import { z } from 'zod'
import { covers, type Ends } from './gaps.ts'
import type { Lag } from './lag.ts'

export interface ToldOutcomesOptions {
  /** A folder for what is not relayed yet, there and durable. */
  dir: string
  trust: Pick<Trust, 'installation'>
  participant: Pick<Voice, 'projection' | 'producer'>
  /** The leaves of outcomes that the decision point reported of a decision. */
  reported: (decisionId: string) => Promise<readonly Uint8Array[]>
  /** Whether the log has a finding of this name. */
  isTold: (name: string) => boolean
  /** Gives what says whether the index finds all that the log has consumed by now. */
  findable: () => () => boolean
  lag: Pick<Lag, 'consumed' | 'onReading'>
  clock: Clock
  logger: Logger
  metrics: Metrics
}

/** How long the decision point may take to relay an outcome, ms. */
const patienceMs = 60_000
const everyMs = 1000
/** What may wait to be relayed, in all and of one enforcement point: none takes the room of the others. */
const mostWaiting = 10_000
const mostOfOnePoint = 2000

const fileSchema = z.strictObject({ told_at: z.int().min(0), outcome: z.string() })
const reportedSchema = z.object({ data: z.object({ outcome: z.string() }) })

interface Told {
  file: string
  jws: string
  outcome: Outcome
  /** Once it is durable. */
  kept: Promise<void>
  /** ms since the epoch. */
  at: number
  /** Where the bus ended once its minute was over: a relay is before that, or there is none. */
  ends: Ends | undefined
  /** Whether a relay before that would be found; once the log has read so far. */
  isFindable?: () => boolean
}

/**
 * Outcomes that enforcement points told evidence directly, each kept durably until the decision point has relayed the same one, or a
 * minute is over and the log has read past it: then `outcome.unrelayed` says so. A decision point cannot suppress what happened.
 */
export class ToldOutcomes implements AsyncDisposable {
  readonly #options: ToldOutcomesOptions
  readonly #waiting = new Map<string, Told>()
  readonly #unrelayed: { inc(): void }
  readonly #timer: NodeJS.Timeout
  readonly #stopReading: () => void
  #looking: Promise<void> = Promise.resolve()

  constructor(options: ToldOutcomesOptions) {
    this.#options = options
    const { dir, logger, metrics, lag } = options
    this.#unrelayed = metrics.counter(
      'evidence_unrelayed_outcomes_total',
      'Outcomes that the decision point did not relay',
    )
    for (const name of readdirSync(dir)) if (!name.startsWith('.')) this.#load(join(dir, name))
    this.#stopReading = lag.onReading(() => this.#reading())
    this.#timer = setInterval(() => {
      this.#looking = this.#looking
        .then(() => this.#look())
        .catch((err: unknown) => logger.error({ err }, 'told outcomes were not looked at'))
    }, everyMs)
  }

  /**
   * Takes what an enforcement point signed; resolves once it will be looked for. The same again changes nothing. Rejects as the
   * decision point does for what is not an outcome by a registered point, and with `queue_full`.
   */
  async tell(jws: string, onVerified: () => void = () => undefined): Promise<void> {
    const outcome = this.#verified(jws)
    onVerified()
    const name = nameOf(outcome)
    if (!this.#waiting.has(name) && (this.#options.isTold(name) || (await this.#isRelayed({ jws, outcome })))) return
    // It may have been told again meanwhile, and is not there before it is durable, whoever told it.
    await (this.#waiting.get(name) ?? this.#keep(name, jws, outcome)).kept
  }

  #keep(name: string, jws: string, outcome: Outcome): Told {
    if (this.#waiting.size >= mostWaiting || this.#waitingOf(outcome.enforcement_point) >= mostOfOnePoint)
      throw new ServiceError('queue_full', 'outcomes')
    const { clock, dir } = this.#options
    const at = clock.now()
    const file = join(dir, `${sha256(Buffer.from(name))}.json`)
    const kept = writeFileDurably(file, Buffer.from(JSON.stringify({ told_at: at, outcome: jws }))).catch((error) => {
      this.#waiting.delete(name)
      throw error
    })
    const told = { file, jws, outcome, kept, at, ends: undefined }
    this.#waiting.set(name, told)
    return told
  }

  #waitingOf(point: string): number {
    let count = 0
    for (const { outcome } of this.#waiting.values()) if (outcome.enforcement_point === point) count++
    return count
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    this.#stopReading()
    await this.#looking
  }

  #verified(jws: string): Outcome {
    const { trust, participant } = this.#options
    const point = participant.projection.ledger.registry.enforcementPoint(claimedPoint(jws) ?? '')
    const key = point && verifyingKey('outcome', point.outcome_jwk)
    if (point === undefined || key === undefined) throw new ServiceError('key_unknown', 'no such enforcement point')
    const { installation } = trust
    const verified = verifyOutcome({ outcome: jws, key, installation, enforcementPoint: point.id })
    if (!verified.ok) throw new ServiceError(verified.code, verified.detail)
    return verified.value
  }

  /** It was verified when it was taken; who can write here could as well take it away. */
  #load(file: string): void {
    const { told_at: at, outcome: jws } = fileSchema.parse(parseStrictJson(readFileSync(file)))
    const payload = Buffer.from(jws.split('.')[1] ?? '', 'base64url')
    const outcome = parseStrictJson(payload) as Outcome
    this.#waiting.set(nameOf(outcome), { file, jws, outcome, kept: Promise.resolve(), at, ends: undefined })
  }

  #reading(): (ends: Ends) => void {
    const due = [...this.#waiting.values()].filter(({ at, ends }) => ends === undefined && this.#isDue(at))
    return (ends) => {
      for (const told of due) told.ends = ends
    }
  }

  #isDue(at: number): boolean {
    return this.#options.clock.now() - at >= patienceMs
  }

  async #look(): Promise<void> {
    const { logger, participant, isTold } = this.#options
    for (const [name, told] of this.#waiting) {
      const { file, outcome } = told
      // Before it is looked for: what can be found by now is found then.
      const isRead = this.#isRead(told)
      const isRelayed = await this.#isRelayed(told)
      if (!isRelayed && !isRead) continue
      if (!isRelayed && !isTold(name)) {
        const { decision_id, enforcement_point, sequence } = outcome
        this.#unrelayed.inc()
        logger.error({ enforcement_point, sequence }, 'outcome_unrelayed')
        const data = { decision_id, enforcement_point, sequence }
        await participant.producer.publish('findings.v1', [{ type: 'outcome.unrelayed', subject: name, data }])
      }
      await rm(file, { force: true })
      this.#waiting.delete(name)
    }
  }

  #isRead(told: Told): boolean {
    const { lag, findable } = this.#options
    if (told.ends === undefined || !covers(lag.consumed, told.ends)) return false
    told.isFindable ??= findable()
    return told.isFindable()
  }

  /**
   * By what the point signed: what the decision point says beside that, it may make up. Not by the signature's text: whoever reads the
   * log can write another one that verifies as well, and would accuse a decision point that relayed it.
   */
  async #isRelayed({ jws, outcome }: Pick<Told, 'jws' | 'outcome'>): Promise<boolean> {
    for (const leaf of await this.#options.reported(outcome.decision_id)) {
      const { outcome: relayed } = reportedSchema.parse(parseStrictJson(leaf)).data
      if (relayed === jws || (signedPart(relayed) === signedPart(jws) && this.#isSigned(relayed))) return true
    }
    return false
  }

  #isSigned(jws: string): boolean {
    try {
      this.#verified(jws)
      return true
    } catch (error) {
      if (error instanceof ServiceError) return false
      throw error
    }
  }
}

const signedPart = (jws: string) => jws.slice(0, jws.lastIndexOf('.'))

/** The name of its finding. The number alone would not do: a point whose store was lost counts from 1 again. */
const nameOf = ({ decision_id, enforcement_point, sequence }: Outcome): string =>
  `${decision_id} ${enforcement_point}#${sequence}`
