import { getOrInsert } from '@bailiwick/kit'
import type { AllowRecord } from './tree-spend.ts'

export interface OpenAllow {
  /** Its tree. */
  root: string
  record: AllowRecord
}

/**
 * ALLOWs without an outcome, by the second in which the outcome is due. So a search for overdue ones does not visit those not yet due, of
 * which a busy decision point has a minute's worth. An entry with a due date far in the future hides no other entry.
 */
export class OpenAllows {
  /** By second, then by the id of the ALLOW. */
  readonly #dueIn = new Map<number, Map<string, OpenAllow>>()

  add(open: OpenAllow): void {
    getOrInsert(this.#dueIn, secondOf(open.record), () => new Map()).set(open.record.id, open)
  }

  delete(record: AllowRecord): void {
    const second = secondOf(record)
    const due = this.#dueIn.get(second)
    if (due?.delete(record.id) && due.size === 0) this.#dueIn.delete(second)
  }

  /** All of them, in an order in which `add` makes the same of them. */
  *all(): Iterable<OpenAllow> {
    for (const due of this.#dueIn.values()) yield* due.values()
  }

  /** ALLOWs whose outcome was due by `now`, ms since the epoch. */
  overdue(now: number): OpenAllow[] {
    const found: OpenAllow[] = []
    for (const [second, due] of this.#dueIn)
      if (second * 1000 <= now) for (const open of due.values()) if (open.record.outcomeDue <= now) found.push(open)
    return found
  }
}

const secondOf = ({ outcomeDue }: AllowRecord) => Math.floor(outcomeDue / 1000)
