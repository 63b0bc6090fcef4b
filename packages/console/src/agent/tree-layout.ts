import type { Grant, Link } from '../types.ts'

/** An agent that holds a grant, or a part of one. */
export interface Holder {
  id: string
  name: string
  state: string
  /** How many calls it made, and how many it may make. */
  calls: { used: number; most: number | undefined }
  /** Whether it is the agent of the page. */
  isOwn: boolean
  below: Holder[]
}

export interface Placed extends Omit<Holder, 'below'> {
  /** How often it was passed on. */
  depth: number
  /** Counted from the top; each holder has one row. */
  row: number
  /** The row of the holder that passed it on. */
  above: number | undefined
}

export function holderOf(grant: Grant, ownId: string): Holder {
  const hold = ({ id, from, state, taken, budget }: Grant | Link, below: readonly Link[]): Holder => ({
    id,
    name: from.name ?? from.id,
    state,
    calls: { used: taken.calls, most: budget.calls },
    isOwn: from.id === ownId,
    below: below.map((link) => hold(link, link.children)),
  })
  return hold(grant, grant.chain)
}

/** Places each holder below, and to the right of, the holder that passed the grant on. */
export function placed(holder: Holder): Placed[] {
  const all: Placed[] = []
  const place = ({ below, ...one }: Holder, depth: number, above: number | undefined): void => {
    const row = all.length
    all.push({ ...one, depth, row, above })
    for (const each of below) place(each, depth + 1, row)
  }
  place(holder, 0, undefined)
  return all
}
