import { endedBy, type Row } from './row.ts'

/**
 * Lets a map's values change while a cut of them is being written: each is written as it was when the cut was made. The state calls `before`
 * ahead of each change of a value. Removing a value, or adding one, needs no call.
 */
export class CutMap<V> {
  readonly #rowsOf: (key: string, value: V) => Iterable<Row>
  /** The values of the cut that are not written yet. */
  #left = new Map<string, V>()
  /** The rows of those that have changed since. */
  readonly #kept = new Map<string, Iterable<Row>>()

  /** `rowsOf` copies at once what can change, and may leave to its iterator what cannot. */
  constructor(rowsOf: (key: string, value: V) => Iterable<Row>) {
    this.#rowsOf = rowsOf
  }

  /** Begins a cut of the map as it is now; an earlier one that was not written to its end is given up. `return` gives this one up. */
  begin(map: ReadonlyMap<string, V>): IterableIterator<Row> {
    this.#kept.clear()
    const left = new Map(map)
    this.#left = left
    return endedBy(this.#rows(left), () => {
      left.clear()
      if (this.#left === left) this.#kept.clear()
    })
  }

  *#rows(left: Map<string, V>): Generator<Row> {
    for (const [key, value] of left) {
      const rows = this.#kept.get(key) ?? this.#rowsOf(key, value)
      this.#kept.delete(key)
      left.delete(key)
      yield* rows
    }
  }

  /** The value of this key is about to change. */
  before(key: string): void {
    const value = this.#left.get(key)
    if (value !== undefined && !this.#kept.has(key)) this.#kept.set(key, this.#rowsOf(key, value))
  }
}
