import type { RegistryState } from '@bailiwick/projection'
import type { LeafPlace } from '../find-leaves.ts'
import type { LeafIndex } from '../leaf-index.ts'
import { placeOf } from './place.ts'
import { queryOf, type Search } from './search.ts'
import { type TraceLeaf, traceLeaf } from './trace-leaf.ts'

export interface Gathered {
  /** What was asked for, newest first. */
  found: readonly TraceLeaf[]
  /** That, and what it followed from. */
  leaves: readonly TraceLeaf[]
  /** Where the next page begins, when there is more. */
  next?: LeafPlace
}

export interface LogView {
  index: Pick<LeafIndex, 'find' | 'beginningOf'>
  readLeaf: (index: number) => Promise<Uint8Array | undefined>
  registry: Pick<RegistryState, 'passkeysOf'>
}

/** Reads from the log the newest `limit` leaves that a search finds, and what those followed from, back to the requests. */
export async function gather(search: Search, from: LogView, limit: number): Promise<Gathered> {
  const leaves = new Map<number, TraceLeaf>()

  async function read(index: number): Promise<TraceLeaf | undefined> {
    const known = leaves.get(index)
    if (known !== undefined) return known
    const bytes = await from.readLeaf(index)
    const leaf = bytes && traceLeaf(index, bytes)
    if (leaf !== undefined) leaves.set(index, leaf)
    return leaf
  }

  const { leaves: places, next } = from.index.find(queryOf(search, from.registry), limit)
  const found: TraceLeaf[] = []
  for (const { index } of places) {
    const leaf = await read(index)
    if (leaf !== undefined) found.push(leaf)
  }
  const asked = new Set<string>()
  const queue = [...found]
  for (let leaf = queue.pop(); leaf !== undefined; leaf = queue.pop())
    for (const cause of placeOf(leaf.event).from) {
      if (asked.has(cause)) continue
      asked.add(cause)
      const index = from.index.beginningOf(cause)
      if (index === undefined || leaves.has(index)) continue
      const beginning = await read(index)
      if (beginning !== undefined) queue.push(beginning)
    }
  return { found, leaves: [...leaves.values()], ...(next === undefined ? {} : { next }) }
}
