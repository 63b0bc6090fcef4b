/** The position of an item: higher rank first, then newer, then by id. */
export interface Place {
  rank: number
  /** ms since the epoch. */
  at: number
  id: string
}

/** Items in the order in which people read them. Kept in order on insertion, so that no page sorts the asks of ten thousand agents. */
export class Ordered<T extends Place> {
  readonly #items: T[] = []

  get size(): number {
    return this.#items.length
  }

  add(item: T): void {
    this.#items.splice(this.#firstNotBefore(item), 0, item)
  }

  remove(place: Place): void {
    const at = this.#firstNotBefore(place)
    if (this.#items[at]?.id === place.id) this.#items.splice(at, 1)
  }

  /** All items after a position; without one, all items. */
  *after(place: Place | undefined): Generator<T> {
    let at = place === undefined ? 0 : this.#firstNotBefore(place)
    if (place !== undefined && this.#items[at]?.id === place.id) at++
    for (; at < this.#items.length; at++) yield this.#items[at] as T
  }

  /** From the last one. The caller may remove each. */
  *oldestFirst(): Generator<T> {
    for (let at = this.#items.length - 1; at >= 0; at--) yield this.#items[at] as T
  }

  #firstNotBefore(place: Place): number {
    let [low, high] = [0, this.#items.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (before(this.#items[middle] as T, place)) low = middle + 1
      else high = middle
    }
    return low
  }
}

function before(a: Place, b: Place): boolean {
  if (a.rank !== b.rank) return a.rank > b.rank
  if (a.at !== b.at) return a.at > b.at
  return a.id < b.id
}

export const pageSize = 50
/** A filter that matches little looks at this many items and leaves the rest to the next page, so that no call blocks the process. */
const mostLookedAt = 20_000

export interface Page<T> {
  items: T[]
  /** Where the next page begins; absent at the end. */
  next?: string
}

/** The part of a list that is asked for, by positions that earlier pages named. */
export interface Range {
  /** After this position; undefined: from the start. */
  cursor?: string | undefined
  /** Up to and including this position; undefined: one page. */
  through?: string | undefined
}

/**
 * The next items for which `show` returns something. A range that has an end is answered whole. Pages that meet at a position
 * therefore hold every item between them, even if new items came into the list. A range with more than two pages of items is answered as
 * one page, with a `next` before its end.
 */
export function pageOf<T extends Place, V>(
  list: Ordered<T>,
  { cursor, through }: Range,
  show: (item: T) => V | undefined,
): Page<V> {
  const end = through === undefined ? undefined : placeIn(through)
  const items: V[] = []
  let next = ''
  let looked = 0
  for (const item of list.after(cursor === undefined ? undefined : placeIn(cursor))) {
    if (end !== undefined && before(end, item)) break
    const view = show(item)
    if (view !== undefined) items.push(view)
    if (items.length <= pageSize) next = cursorOf(item)
    if (items.length > 2 * pageSize) return { items: items.slice(0, pageSize), next }
    if (++looked === mostLookedAt) return { items, next: cursorOf(item) }
    if (items.length === pageSize && end === undefined) return { items, next }
  }
  return through === undefined ? { items } : { items, next: through }
}

/** A cursor is a position, and no more secret than the list. */
const cursorOf = ({ rank, at, id }: Place): string => `${rank}_${at}_${id}`

function placeIn(cursor: string): Place {
  const [rank = '', at = '', ...id] = cursor.split('_')
  return { rank: Number(rank), at: Number(at), id: id.join('_') }
}
