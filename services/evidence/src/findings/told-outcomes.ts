import { setImmediate as nextTurn } from 'node:timers/promises'
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
import type { Logger, Metrics } from '@bailiwick/host'
import type { Voice } from '@bailiwick/instance'
import type { Clock } from '@bailiwick/kit'
import { z } from 'zod'
import { chainName } from '../index/outcome-links.ts'
import { covers, type Ends } from './gaps.ts'
import type { Lag } from './lag.ts'
import { dropFrom, readTold, type ToldFile, toldFile, writeTold } from './told-files.ts'
import { contradictionName, tellContradicted } from './watch-outcomes.ts'

export interface ToldOutcomesOptions {
  /** A folder for outcomes that are not relayed yet. It exists and is durable. */
  dir: string
  trust: Pick<Trust, 'installation'>
  participant: Pick<Voice, 'projection' | 'producer'>
  /** The leaves of the outcomes that the decision point reported for a decision, and of those that it refused. */
  reported: (decisionId: string) => Promise<readonly Uint8Array[]>
  /** The hash of the first outcome that the log has under this number of an instance. */
  outcomeUnder: (instance: string, sequence: number) => string | undefined
  /** Whether the log has a finding of this name. */
  isTold: (name: string) => boolean
  /** Returns a function that says whether the index finds all that the log has consumed by the time of this call. */
  findable: () => () => boolean
  lag: Pick<Lag, 'consumed' | 'onReading'>
  clock: Clock
  logger: Logger
  metrics: Metrics
  /** How many outcomes of one enforcement point may wait to be relayed, so that no point takes the others' room; 5,000 by default. */
  mostOfOnePoint?: number
}

/** How long the decision point may take to relay an outcome that it has answered, in ms. */
const patienceMs = 60_000
/** How long evidence keeps an outcome that no decision point has answered: it may still wait, or its enforcement point may be gone. */
const untakenMs = 3600_000
const everyMs = 1000
/** The most outcomes that may wait to be relayed, in all. */
const mostWaiting = 20_000
/** The most invalid outcomes of one list: an honest point signs none, and each one costs the check of a signature. */
const mostUnverified = 8

const reportedSchema = z.object({ type: z.string().optional(), data: z.object({ outcome: z.string() }) })

interface Told {
  files: ToldFile[]
  jws: string
  outcome: Outcome
  /** `outcomeHash`: another signature over the same content gives the same hash. */
  hash: string
  /** Resolves once the outcome is durable. */
  kept: Promise<void>
  /** ms since the epoch. */
  at: number
  /**
   * When the enforcement point said that the decision point had given its last answer, in ms since the epoch. Undefined while the outcome
   * waits.
   */
  answeredAt: number | undefined
  /** The ends of the bus once the outcome's minute was over: a relay comes before them, or there is none. */
  ends: Ends | undefined
  /** Whether the index would find a relay before those ends. Set once the log has read that far. */
  isFindable?: () => boolean
}

/**
 * Outcomes that enforcement points sent to evidence directly. Each is kept durably until the decision point has relayed the same one. If
 * the enforcement point says that the decision point has answered an outcome, `outcome.unrelayed` accuses the decision point after a
 * minute, once the log has read past it: a decision point cannot suppress what happened. An outcome that still waits accuses neither side,
 * however long it waits. If the log has another outcome of the same decision, or under the same number of the instance, the enforcement
 * point contradicts itself: `outcome.contradicted`.
 */
export class ToldOutcomes implements AsyncDisposable {
  readonly #options: ToldOutcomesOptions
  readonly #waiting = new Map<string, Told>()
  /** The number of waiting outcomes, by point. */
  readonly #waitingOf = new Map<string, number>()
  readonly #unrelayed: { inc(): void }
  readonly #untaken: { inc(): void }
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
    this.#untaken = metrics.counter(
      'evidence_untaken_outcomes_total',
      'Outcomes that waited an hour for a decision point to take them, and are no longer looked for',
    )
    metrics.gauge('evidence_outcomes_waiting', 'Outcomes told by points that are not on the log yet', [], (gauge) =>
      gauge.set(this.#waiting.size),
    )
    // They were verified when they were accepted. An attacker who can write here could also delete them.
    for (const { file, at, answered, outcomes } of readTold(dir))
      for (const jws of outcomes) this.#add(jws, file, { at, answeredAt: answered ? at : undefined })
    this.#stopReading = lag.onReading(() => this.#reading())
    this.#timer = setInterval(() => {
      this.#looking = this.#looking
        .then(() => this.#look())
        .catch((err: unknown) => logger.error({ err }, 'told outcomes were not looked at'))
    }, everyMs)
  }

  /**
   * Takes outcomes that an enforcement point sent together. Resolves once all of them are looked for, with an error for each that the
   * decision point would refuse too, and `queue_full` for each that finds no room. The same outcome again changes nothing, except that it
   * may now be `answered`: the decision point has given its last answer. Rejects if more are invalid than an honest point can have sent.
   * `onVerified` is called once it is known that every outcome is signed by a registered point.
   */
  async tell(
    signed: readonly string[],
    { answered = false, onVerified = () => undefined }: { answered?: boolean; onVerified?: () => void } = {},
  ): Promise<(ServiceError | undefined)[]> {
    let failed = 0
    const outcomes = signed.map((jws) => {
      const verified = this.#verified(jws)
      if (verified instanceof ServiceError && (++failed === signed.length || failed > mostUnverified)) throw verified
      return verified
    })
    if (failed === 0) onVerified()
    const fresh = new Map<string, string>()
    const errors: (ServiceError | undefined)[] = []
    for (const [n, outcome] of outcomes.entries()) {
      const jws = signed[n] ?? ''
      errors.push(outcome instanceof ServiceError ? outcome : await this.#sort({ jws, outcome, answered }, fresh))
    }
    const keeping = fresh.size > 0 ? this.#keep(fresh, answered) : undefined
    // Also wait for outcomes that another request sent meanwhile: they are accepted only once they are durable.
    await Promise.all([keeping, ...signed.map((jws) => this.#waiting.get(outcomeHash(jws))?.kept)])
    return errors
  }

  /** Puts the outcome into `fresh`, unless it is settled or was sent before. Returns an error if there is no room. */
  async #sort(
    { jws, outcome, answered }: { jws: string; outcome: Outcome; answered: boolean },
    fresh: Map<string, string>,
  ): Promise<ServiceError | undefined> {
    const hash = outcomeHash(jws)
    if (!this.#waiting.has(hash) && (await this.#isSettled({ jws, hash, outcome }))) return undefined
    const known = this.#waiting.get(hash)
    if (known && (!answered || known.answeredAt !== undefined)) return undefined
    if (!known && !this.#hasRoom(outcome, fresh.size)) return new ServiceError('queue_full', 'outcomes')
    fresh.set(hash, jws)
    return undefined
  }

  /** Whether the outcome needs no further check and no finding. */
  async #isSettled(told: Pick<Told, 'jws' | 'hash' | 'outcome'>): Promise<boolean> {
    const { isTold } = this.#options
    return isTold(contradictionOf(told)) || isTold(nameOf(told.outcome)) || (await this.#saidOf(told)) === 'relayed'
  }

  #hasRoom({ enforcement_point: point }: Outcome, besides: number): boolean {
    const ofPoint = this.#waitingOf.get(point) ?? 0
    return this.#waiting.size + besides < mostWaiting && ofPoint + besides < (this.#options.mostOfOnePoint ?? 5000)
  }

  #keep(fresh: ReadonlyMap<string, string>, answered: boolean): Promise<void> {
    const { clock, dir } = this.#options
    const at = clock.now()
    const file = toldFile(dir, [...fresh.keys()], answered)
    const kept = writeTold(file, { at, answered, outcomes: [...fresh.values()] }).catch(async (error) => {
      for (const hash of fresh.keys()) await this.#undo(hash, file)
      throw error
    })
    for (const jws of fresh.values()) this.#add(jws, file, { at, answeredAt: answered ? at : undefined, kept })
    return kept
  }

  /** Removes the outcome from this file. If another file holds it too, it is still looked for. */
  async #undo(hash: string, file: ToldFile): Promise<void> {
    const told = this.#waiting.get(hash)
    if (told === undefined) return
    told.files = told.files.filter((each) => each !== file)
    told.kept = Promise.resolve()
    if (told.files.length === 0) await this.#forget(hash)
  }

  #add(
    jws: string,
    file: ToldFile,
    { at, answeredAt, kept = Promise.resolve() }: Pick<Told, 'at' | 'answeredAt'> & { kept?: Promise<void> },
  ): void {
    const hash = outcomeHash(jws)
    const known = this.#waiting.get(hash)
    if (known) {
      known.files.push(file)
      known.kept = Promise.all([known.kept, kept]).then(() => undefined)
      // The minute that the decision point has begins with the answer.
      if (answeredAt !== undefined && known.answeredAt === undefined)
        Object.assign(known, { answeredAt, ends: undefined, isFindable: undefined })
      return
    }
    const outcome = parseStrictJson(Buffer.from(jws.split('.')[1] ?? '', 'base64url')) as Outcome
    this.#waiting.set(hash, { files: [file], jws, hash, outcome, kept, at, answeredAt, ends: undefined })
    const point = outcome.enforcement_point
    this.#waitingOf.set(point, (this.#waitingOf.get(point) ?? 0) + 1)
  }

  /** Stops looking for the outcome. */
  async #forget(hash: string): Promise<void> {
    const told = this.#waiting.get(hash)
    if (told === undefined) return
    this.#waiting.delete(hash)
    const point = told.outcome.enforcement_point
    const left = (this.#waitingOf.get(point) ?? 1) - 1
    if (left > 0) this.#waitingOf.set(point, left)
    else this.#waitingOf.delete(point)
    for (const file of told.files) await dropFrom(file, hash)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    this.#stopReading()
    await this.#looking
  }

  /** The outcome that a registered enforcement point signed, or the error. */
  #verified(jws: string): Outcome | ServiceError {
    const { trust, participant } = this.#options
    const point = participant.projection.ledger.registry.enforcementPoint(claimedPoint(jws) ?? '')
    const key = point && verifyingKey('outcome', point.outcome_jwk)
    if (point === undefined || key === undefined) return new ServiceError('key_unknown', 'no such enforcement point')
    const { installation } = trust
    const verified = verifyOutcome({ outcome: jws, key, installation, enforcementPoint: point.id })
    return verified.ok ? verified.value : new ServiceError(verified.code, verified.detail)
  }

  #reading(): (ends: Ends) => void {
    const due = [...this.#waiting.values()].filter(
      ({ at, answeredAt = at, ends }) => ends === undefined && this.#isOver(answeredAt, patienceMs),
    )
    return (ends) => {
      for (const told of due) told.ends = ends
    }
  }

  #isOver(since: number, ms: number): boolean {
    return this.#options.clock.now() - since >= ms
  }

  async #look(): Promise<void> {
    for (const [hash, told] of this.#waiting) {
      await nextTurn() // there may be hundreds, and decisions may be made on the same thread
      // Before the lookup, which then finds everything that can be found by now.
      const isRead = this.#isRead(told)
      const said = await this.#saidOf(told)
      if (said === 'unsaid' && !isRead) continue
      if (said === 'decision' || said === 'sequence') await this.#tellContradicted(told, said)
      // The decision point refused the outcome but put it on the log. The outcome that it contradicts may come later.
      if (said === 'refused' && !isRead) continue
      if (said === 'unsaid' && told.answeredAt === undefined) {
        if (!this.#isOver(told.at, untakenMs)) continue
        this.#tellUntaken(told)
      } else if (said === 'unsaid') await this.#tellUnrelayed(told)
      await this.#forget(hash)
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

  /** Accuses neither side: the decision point may have been away, and the enforcement point gone. The ALLOW lacks its outcome. */
  #tellUntaken({ outcome: { decision_id, enforcement_point, sequence } }: Told): void {
    this.#untaken.inc()
    this.#options.logger.warn({ decision_id, enforcement_point, sequence }, 'outcome_untaken')
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
   * How the log reports the outcome. Compares the content that the enforcement point signed, because the decision point may make up
   * anything beside it. Does not compare the signature's text: a reader of the log can write another one that also verifies, and would
   * falsely accuse a decision point that relayed the outcome.
   */
  async #saidOf({
    jws,
    hash,
    outcome,
  }: Pick<Told, 'jws' | 'hash' | 'outcome'>): Promise<'relayed' | 'decision' | 'sequence' | 'refused' | 'unsaid'> {
    const { decision_id, enforcement_point: point, instance, sequence } = outcome
    let [isRefused, isAnother] = [false, false]
    for (const leaf of await this.#options.reported(decision_id)) {
      const { type, data } = reportedSchema.parse(parseStrictJson(leaf))
      // The very text that was verified when it was told, as nearly always, needs no second check of its signature.
      const isToldText = data.outcome === jws
      const isSame = isToldText || outcomeHash(data.outcome) === hash
      const verified = isToldText ? outcome : this.#verified(data.outcome)
      if (verified instanceof ServiceError) continue
      if (type === 'outcome.refused') isRefused ||= isSame
      else if (isSame) return 'relayed'
      else isAnother ||= isOf(verified, outcome)
    }
    if (isAnother) return 'decision'
    const under = instance && this.#options.outcomeUnder(chainName({ point, instance }), sequence)
    if (under !== undefined && under !== hash) return 'sequence'
    return isRefused ? 'refused' : 'unsaid'
  }
}

/** A lying decision point may relay an outcome of another enforcement point or decision, which must not accuse this one. */
const isOf = (other: Outcome, { decision_id, enforcement_point }: Outcome): boolean =>
  other.decision_id === decision_id && other.enforcement_point === enforcement_point

/** The name of the outcome's finding. The number alone is not enough: a point that states no instance may count from 1 again. */
const nameOf = ({ decision_id, enforcement_point, instance, sequence }: Outcome): string =>
  `${decision_id} ${enforcement_point}${instance === undefined ? '' : `/${instance}`}#${sequence}`
const contradictionOf = ({ hash, outcome }: Pick<Told, 'hash' | 'outcome'>): string =>
  contradictionName({ ...outcome, signed_sha256: hash })
