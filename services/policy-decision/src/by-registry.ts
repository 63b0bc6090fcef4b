import type { Projection } from '@bailiwick/projection'

interface Judged<T> {
  verdict: Promise<T>
  /** How many changes of the registry were looked at. */
  taken: number
}

/**
 * What was judged by the registry as it was at some time, kept as long as that registry is the same. `registry.v1` may come later
 * than what is judged by it: a verdict of before then, good or bad, does not outlive it (V3).
 */
export class ByRegistry<T> {
  readonly #projection: Pick<Projection, 'ledger'>
  readonly #known = new WeakMap<object, Judged<T>>()

  constructor(projection: Pick<Projection, 'ledger'>) {
    this.#projection = projection
  }

  /** `subject` is what does not change: whatever does is another object. */
  of(subject: object, at: number, judge: () => Promise<T>): Promise<T> {
    const { registry } = this.#projection.ledger
    const known = this.#known.get(subject)
    if (known && !registry.changedSince(known.taken, at)) {
      known.taken = registry.taken
      return known.verdict
    }
    const judged = { taken: registry.taken, verdict: judge() }
    this.#known.set(subject, judged)
    return judged.verdict
  }
}
