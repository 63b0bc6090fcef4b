import type { Projection } from '@bailiwick/instance'

interface Judged<T> {
  verdict: Promise<T>
  /** How many registry changes the verdict took into account. */
  taken: number
}

/**
 * Verdicts that depend on the registry as of some time, kept as long as that registry is the same. An event of `registry.v1` may arrive
 * after the verdict that depends on it. An earlier verdict, good or bad, does not survive such an event (V3).
 */
export class ByRegistry<T> {
  readonly #projection: Pick<Projection, 'ledger'>
  readonly #known = new WeakMap<object, Judged<T>>()

  constructor(projection: Pick<Projection, 'ledger'>) {
    this.#projection = projection
  }

  /** `subject` never changes: a changed subject is another object. */
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
