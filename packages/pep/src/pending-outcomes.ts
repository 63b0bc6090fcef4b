import { mostOutcomes, outcomesBytes } from '@bailiwick/contracts'

/** A signed outcome without its last answer. */
export interface PendingOutcome {
  readonly jws: string
  /** Its number in this instance; undefined when an earlier instance signed it. */
  readonly sequence: number | undefined
  /** Whether it is on its way, or waits before it is sent again. */
  isSent: boolean
  /** Whether evidence was told that it waits. */
  isTold: boolean
  /** How long it waits if the decision point asks to get it again later. */
  pauseMs: number
  /** ms since the epoch: when the PDP first answered that it does not know the decision. */
  unknownSince?: number
}

const firstPauseMs = 50
/** The most bytes of a list, with its brackets, quotes and commas. */
const mostBytes = outcomesBytes - 1024

/** The outcomes that an enforcement point has signed and that have no last answer yet, in order. */
export class PendingOutcomes {
  readonly #waiting = new Set<PendingOutcome>()
  readonly #unverified = new Set<PendingOutcome>()

  constructor(left: readonly string[]) {
    for (const jws of left) this.add(jws, undefined)
  }

  add(jws: string, sequence: number | undefined): void {
    this.#waiting.add({ jws, sequence, isSent: false, isTold: false, pauseMs: firstPauseMs })
  }

  delete(each: PendingOutcome): void {
    this.#waiting.delete(each)
    this.#unverified.delete(each)
  }

  get size(): number {
    return this.#waiting.size
  }

  /** Marks an outcome that the decision point could not verify, until the outcome is deleted. */
  addUnverified(each: PendingOutcome): void {
    this.#unverified.add(each)
  }

  /** How many outcomes the decision point could not verify, of this instance or of earlier ones. */
  unverified(whose: 'own' | 'left'): number {
    let count = 0
    for (const { sequence } of this.#unverified) if ((sequence === undefined) === (whose === 'left')) count++
    return count
  }

  get signed(): string[] {
    return [...this.#waiting].map(({ jws }) => jws)
  }

  /** The lowest number of this instance that has no last answer. */
  get firstNumber(): number | undefined {
    for (const { sequence } of this.#waiting) if (sequence !== undefined) return sequence
    return undefined
  }

  /** The first sendable outcomes, as many as fit in one list, among those durable up to `saved`; none if there are fewer than `fewest`. */
  take(saved: number, fewest: number): PendingOutcome[] {
    const taken: PendingOutcome[] = []
    let bytes = 0
    for (const each of this.#waiting) {
      if (each.isSent || (each.sequence ?? 0) > saved) continue
      bytes += each.jws.length + 3
      if (taken.length === mostOutcomes || (bytes > mostBytes && taken.length > 0)) break
      taken.push(each)
    }
    if (taken.length < fewest) return []
    for (const each of taken) each.isSent = true
    return taken
  }

  /** The durable outcomes that evidence does not yet know about. Marks them as told. */
  untold(saved: number): string[] {
    const untold = [...this.#waiting].filter(({ isTold, sequence }) => !isTold && (sequence ?? 0) <= saved)
    for (const each of untold) each.isTold = true
    return untold.map(({ jws }) => jws)
  }
}
