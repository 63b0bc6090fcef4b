import type { Term } from '@bailiwick/contracts'
import { everyLeaf } from './terms.ts'

/** A leaf's position in time: ms since the epoch, and its index among those of the same ms. */
export interface LeafPlace {
  at: number
  index: number
}

export interface LeafQuery {
  /** A leaf must have one term of each of these lists. An empty list matches every leaf. */
  each: readonly (readonly Term[])[]
  /** ms since the epoch, both included. */
  from?: number | undefined
  to?: number | undefined
  /** Only leaves older than this position. */
  before?: LeafPlace | undefined
}

export interface LeavesFound {
  /** Newest first. */
  leaves: LeafPlace[]
  /** Where the next search continues: there is more, or one search could not read everything. */
  next?: LeafPlace
}

/** The newest leaf with this term that is older than `before` and no older than `from`. */
export type NewestOf = (term: Term, before: LeafPlace, from: number) => LeafPlace | undefined

/** How many lookups one search may make in the index. A search with few matches leaves the rest to the next page. */
const mostLooks = 5000

/**
 * The newest leaves that a query matches. Each term's leaves are in order of time, so the lists are walked side by side. Leaves that one
 * list skips, the others skip without a lookup.
 */
export function findLeaves(newestOf: NewestOf, query: LeafQuery, limit: number, looksLeft = mostLooks): LeavesFound {
  const { each, from = 0, to = Number.MAX_SAFE_INTEGER, before } = query
  const lists = each.length === 0 ? [[everyLeaf]] : each
  const leaves: LeafPlace[] = []
  let looks = 0
  let below = { at: to, index: Number.MAX_SAFE_INTEGER }
  if (before !== undefined && isOlder(before, below)) below = before
  for (;;) {
    let found: LeafPlace | undefined
    for (let agreed = 0, turn = 0; agreed < lists.length; turn++) {
      const terms = lists[turn % lists.length] as readonly Term[]
      looks += terms.length
      if (looks > looksLeft) return { leaves, next: found === undefined ? below : including(found) }
      const bound = found === undefined ? below : including(found)
      const newest = newestOfAny(newestOf, terms, bound, from)
      if (newest === undefined) return { leaves }
      agreed = found !== undefined && found.index === newest.index ? agreed + 1 : 1
      found = newest
    }
    // Finding one more leaf than was asked for shows that there is more.
    const last = leaves.at(-1)
    if (leaves.length === limit && last !== undefined) return { leaves, next: last }
    if (found === undefined) return { leaves }
    leaves.push(found)
    below = found
  }
}

function newestOfAny(newestOf: NewestOf, terms: readonly Term[], bound: LeafPlace, from: number) {
  let newest: LeafPlace | undefined
  for (const term of terms) {
    const place = newestOf(term, bound, from)
    if (place !== undefined && (newest === undefined || isOlder(newest, place))) newest = place
  }
  return newest
}

const including = ({ at, index }: LeafPlace): LeafPlace => ({ at, index: index + 1 })
const isOlder = (a: LeafPlace, b: LeafPlace) => a.at < b.at || (a.at === b.at && a.index < b.index)
