import { termOf } from '@bailiwick/contracts'
import type { RegistryState } from '@bailiwick/projection'
import { grantHeldBy, placeOf, type TraceLeaf, traceLeaf } from '@bailiwick/verify'
import type { LeafPlace } from './find-leaves.ts'
import type { LeafIndex } from './leaf-index.ts'
import { queryOf, type Search } from './search.ts'

export interface Gathered {
  /** The leaves that the search matched, newest first. */
  found: readonly TraceLeaf[]
  /** Those leaves, and the leaves that they followed from. */
  leaves: readonly TraceLeaf[]
  /** Leaves that were found too, but that this version cannot read because a newer one wrote them. */
  unread: readonly number[]
  /** Where the next page begins, if there is more. */
  next?: LeafPlace
}

export interface LogView {
  index: Pick<LeafIndex, 'find' | 'beginningOf' | 'isVoid'>
  readLeaf: (index: number) => Promise<Uint8Array | undefined>
  registry: Pick<RegistryState, 'passkeysOf'>
}

/** A page ends at this size, after at least one leaf: 500 of the largest leaves would be 32 MB to verify and send. */
const mostBytes = 4 * 1024 * 1024

/** How many moves of one grant are read. */
const mostMoves = 500

/** Reads from the log the newest `limit` leaves that a search finds, and the leaves that those followed from, back to the requests. */
export async function gather(search: Search, from: LogView, limit: number): Promise<Gathered> {
  const leaves = new Map<number, TraceLeaf>()
  const asked = new Set<string>()
  const unread = new Set<number>()
  let bytesRead = 0

  async function read(index: number): Promise<TraceLeaf | undefined> {
    const known = leaves.get(index)
    if (known !== undefined) return known
    const bytes = await from.readLeaf(index)
    bytesRead += bytes?.length ?? 0
    const leaf = bytes && traceLeaf(index, bytes)
    if (bytes && leaf === undefined) unread.add(index)
    if (leaf !== undefined && from.index.isVoid(index)) leaf.void = true
    if (leaf !== undefined) leaves.set(index, leaf)
    return leaf
  }

  async function readCauses(of: TraceLeaf): Promise<void> {
    const queue = [of]
    for (let leaf = queue.pop(); leaf !== undefined; leaf = queue.pop()) {
      await readMoves(grantHeldBy(leaf.event))
      const { from: causes, beside = [] } = placeOf(leaf.event)
      for (const cause of [...causes, ...beside]) {
        if (asked.has(cause)) continue
        asked.add(cause)
        const index = from.index.beginningOf(cause)
        if (index === undefined || leaves.has(index)) continue
        const beginning = await read(index)
        if (beginning !== undefined) queue.push(beginning)
      }
    }
  }

  /** Reads the moves of a grant from one key to another, which show who held it when. */
  async function readMoves(grant: string | undefined): Promise<void> {
    if (grant === undefined || asked.has(`moves of ${grant}`)) return
    asked.add(`moves of ${grant}`)
    const moves = { each: [[termOf('id', grant)], [termOf('type', 'grant.rebound')]] }
    for (const { index } of from.index.find(moves, mostMoves).leaves) await read(index)
  }

  const { leaves: places, next } = from.index.find(queryOf(search, from.registry), limit)
  const found: TraceLeaf[] = []
  const gathered = (further?: LeafPlace): Gathered => ({
    ...{ found, leaves: [...leaves.values()], unread: [...unread] },
    ...(further === undefined ? {} : { next: further }),
  })
  for (const place of places) {
    const leaf = await read(place.index)
    if (leaf === undefined) continue
    found.push(leaf)
    await readCauses(leaf)
    if (bytesRead > mostBytes && place !== places.at(-1)) return gathered(place)
  }
  return gathered(next)
}
