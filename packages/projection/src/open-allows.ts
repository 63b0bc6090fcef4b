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
  /** By second: the records, each with its tree. */
  readonly #dueIn = new Map<number, Map<AllowRecord, string>>()

  add({ root, record }: OpenAllow): void {
    getOrInsert(this.#dueIn, secondOf(record), () => new Map()).set(record, root)
  }

  delete(record: AllowRecord): void {
    const second = secondOf(record)
    const due = this.#dueIn.get(second)
    if (due?.delete(record) && due.size === 0) this.#dueIn.delete(second)
  }

  /** ALLOWs whose outcome was due by `now`, ms since the epoch. */
  overdue(now: number): OpenAllow[] {
    const found: OpenAllow[] = []
    for (const [second, due] of this.#dueIn)
      if (second * 1000 <= now)
        for (const [record, root] of due) if (record.outcomeDue <= now) found.push({ root, record })
    return found
  }
}

const secondOf = ({ outcomeDue }: AllowRecord) => Math.floor(outcomeDue / 1000)
