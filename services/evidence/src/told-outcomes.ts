import { readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseStrictJson } from '@bailiwick/contracts'
import {
  claimedPoint,
  type Outcome,
  outcomeHash,
  type Trust,
  verifyingKey,
  verifyOutcome,
} from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Voice } from '@bailiwick/projection'
import { type Clock, type Logger, type Metrics, writeFileDurably } from '@bailiwick/service-kit'
import { z } from 'zod'
import { covers, type Ends } from './gaps.ts'
import type { Lag } from './lag.ts'
import { chainName } from './outcome-links.ts'
import { contradictionName, tellContradicted } from './watch-outcomes.ts'

export interface ToldOutcomesOptions {
  /** A folder for what is not relayed yet, there and durable. */
  dir: string
  trust: Pick<Trust, 'installation'>
  participant: Pick<Voice, 'projection' | 'producer'>
  /** The leaves of outcomes that the decision point reported of a decision, and of those that it did not take. */
  reported: (decisionId: string) => Promise<readonly Uint8Array[]>
  /** The hash of the first outcome that the log has under this number of an instance. */
  outcomeUnder: (instance: string, sequence: number) => string | undefined
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
const reportedSchema = z.object({ type: z.string().optional(), data: z.object({ outcome: z.string() }) })

interface Told {
  file: string
  jws: string
  outcome: Outcome
  /** `outcomeHash`: another signature over the same is the same. */
  hash: string
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
 * minute is over and the log has read past it: then `outcome.unrelayed` says so. A decision point cannot suppress what happened. Where the
 * log has another outcome of the same decision, or under the same number of the instance, it is the enforcement point that says two
 * things: `outcome.contradicted`.
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
    const hash = outcomeHash(jws)
    if (!this.#waiting.has(hash) && (await this.#isSettled({ jws, hash, outcome }))) return
    // It may have been told again meanwhile, and is not there before it is durable, whoever told it.
    await (this.#waiting.get(hash) ?? this.#keep(hash, jws, outcome)).kept
  }

  /** Nothing is left to say of it. */
  async #isSettled(told: Pick<Told, 'jws' | 'hash' | 'outcome'>): Promise<boolean> {
    const { isTold } = this.#options
    return isTold(contradictionOf(told)) || isTold(nameOf(told.outcome)) || (await this.#saidOf(told)) === 'relayed'
  }

  #keep(hash: string, jws: string, outcome: Outcome): Told {
    if (this.#waiting.size >= mostWaiting || this.#waitingOf(outcome.enforcement_point) >= mostOfOnePoint)
      throw new ServiceError('queue_full', 'outcomes')
    const { clock, dir } = this.#options
    const at = clock.now()
    const file = join(dir, `${hash}.json`)
    const kept = writeFileDurably(file, Buffer.from(JSON.stringify({ told_at: at, outcome: jws }))).catch((error) => {
      this.#waiting.delete(hash)
      throw error
    })
    const told = { file, jws, hash, outcome, kept, at, ends: undefined }
    this.#waiting.set(hash, told)
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
    const hash = outcomeHash(jws)
    this.#waiting.set(hash, { file, jws, hash, outcome, kept: Promise.resolve(), at, ends: undefined })
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
    for (const [hash, told] of this.#waiting) {
      // Before it is looked for: what can be found by now is found then.
      const isRead = this.#isRead(told)
      const said = await this.#saidOf(told)
      if (said === 'unsaid' && !isRead) continue
      if (said === 'decision' || said === 'sequence') await this.#tellContradicted(told, said)
      // What it did not take it put on the log all the same. Which outcome that contradicts may come later.
      if (said === 'refused' && !isRead) continue
      if (said === 'unsaid') await this.#tellUnrelayed(told)
      await rm(told.file, { force: true })
      this.#waiting.delete(hash)
    }
  }

  async #tellUnrelayed({ outcome }: Told): Promise<void> {
    const { logger, participant, isTold } = this.#options
    const subject = nameOf(outcome)
    if (isTold(subject)) return
    const { decision_id, enforcement_point, sequence } = outcome
    this.#unrelayed.inc()
    logger.error({ enforcement_point, sequence }, 'outcome_unrelayed')
    const data = { decision_id, enforcement_point, sequence }
    await participant.producer.publish('findings.v1', [{ type: 'outcome.unrelayed', subject, data }])
  }

  async #tellContradicted({ outcome, hash }: Told, of: 'decision' | 'sequence'): Promise<void> {
    const { logger, participant } = this.#options
    const { decision_id, enforcement_point, instance, sequence } = outcome
    logger.error({ enforcement_point, sequence, of }, 'outcome_contradicted')
    const whose = instance === undefined ? { enforcement_point } : { enforcement_point, instance }
    const data = { decision_id, ...whose, sequence, of, signed_sha256: hash }
    await tellContradicted(participant, this.#options, data)
  }

  #isRead(told: Told): boolean {
    const { lag, findable } = this.#options
    if (told.ends === undefined || !covers(lag.consumed, told.ends)) return false
    told.isFindable ??= findable()
    return told.isFindable()
  }

  /**
   * What the log says of it. By what the point signed: what the decision point says beside that, it may make up. Not by the signature's
   * text: whoever reads the log can write another one that verifies as well, and would accuse a decision point that relayed it.
   */
  async #saidOf({
    hash,
    outcome,
  }: Pick<Told, 'hash' | 'outcome'>): Promise<'relayed' | 'decision' | 'sequence' | 'refused' | 'unsaid'> {
    const { decision_id, enforcement_point: point, instance, sequence } = outcome
    let [isRefused, isAnother] = [false, false]
    for (const leaf of await this.#options.reported(decision_id)) {
      const { type, data } = reportedSchema.parse(parseStrictJson(leaf))
      const isSame = outcomeHash(data.outcome) === hash
      if (!this.#isSigned(data.outcome)) continue
      if (type === 'outcome.refused') isRefused ||= isSame
      else if (isSame) return 'relayed'
      else isAnother ||= isOf(this.#verified(data.outcome), outcome)
    }
    if (isAnother) return 'decision'
    const under = instance && this.#options.outcomeUnder(chainName({ point, instance }), sequence)
    if (under !== undefined && under !== hash) return 'sequence'
    return isRefused ? 'refused' : 'unsaid'
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

/** A decision point that lies relays another point's outcome, or another decision's, and must not accuse this one by it. */
const isOf = (other: Outcome, { decision_id, enforcement_point }: Outcome): boolean =>
  other.decision_id === decision_id && other.enforcement_point === enforcement_point

/** The name of its finding. The number alone would not do: a point that states no instance may count from 1 again. */
const nameOf = ({ decision_id, enforcement_point, instance, sequence }: Outcome): string =>
  `${decision_id} ${enforcement_point}${instance === undefined ? '' : `/${instance}`}#${sequence}`
const contradictionOf = ({ hash, outcome }: Pick<Told, 'hash' | 'outcome'>): string =>
  contradictionName({ ...outcome, signed_sha256: hash })
