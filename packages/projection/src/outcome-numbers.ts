import { getOrInsert } from '@bailiwick/kit'
import type { Columns, Row } from './cut/row.ts'

type Range = [from: number, to: number]

interface Numbers {
  /** Lowest first, never adjacent. An instance counts without gaps, so there is nearly always one range. */
  ranges: Range[]
  /** ms since the epoch of its newest outcome. */
  changedAt: number
}

/**
 * The numbers that instances of enforcement points gave to outcomes that count. They are on several partitions, which have no order among
 * each other, so a repeated number makes no event void. Instead a decision point refuses a number that it has already read. Evidence and
 * auditors read everything and report a number that two decision points took at the same time.
 */
export class OutcomeNumbers {
  readonly #instances = new Map<string, Numbers>()

  has(instance: string, number: number): boolean {
    return this.#instances.get(instance)?.ranges.some(([from, to]) => from <= number && number <= to) ?? false
  }

  /** `at`: ms since the epoch. */
  add(instance: string, number: number, at: number): void {
    const numbers = getOrInsert(this.#instances, instance, () => ({ ranges: [], changedAt: at }))
    numbers.changedAt = Math.max(numbers.changedAt, at)
    const { ranges } = numbers
    const above = ranges.findIndex(([, to]) => to >= number - 1)
    const next = ranges[above]
    if (next === undefined) ranges.push([number, number])
    else if (number < next[0] - 1) ranges.splice(above, 0, [number, number])
    else {
      next[0] = Math.min(next[0], number)
      next[1] = Math.max(next[1], number)
      const behind = ranges[above + 1]
      if (behind !== undefined && behind[0] <= next[1] + 1) {
        next[1] = Math.max(next[1], behind[1])
        ranges.splice(above + 1, 1)
      }
    }
  }

  /** Its state as it is now. */
  cut(): Iterable<Row> {
    return [...this.#instances].map(
      ([instance, { ranges, changedAt }]) =>
        ['numbers', instance, changedAt, ranges.map(([from, to]) => [from, to])] as const,
    )
  }

  restore(columns: Columns): void {
    const instance = columns.text()
    const changedAt = columns.whole()
    const ranges = columns.each((range): Range => [range.whole(), range.whole()])
    this.#instances.set(instance, { ranges, changedAt })
  }

  /** Forgets instances that reported nothing since `ms`. Anything they could still report belongs to trees that are also forgotten. */
  forget(ms: number): void {
    for (const [instance, { changedAt }] of this.#instances) if (changedAt < ms) this.#instances.delete(instance)
  }
}
