import type { RegistryState } from '@bailiwick/projection'
import type { LeafIndex, Mention } from '../leaf-index.ts'
import { beginnings, placeOf } from './place.ts'
import { type TraceLeaf, traceLeaf } from './trace-leaf.ts'

export interface Gathered {
  /** The names of what was asked about. */
  ids: ReadonlySet<string>
  leaves: readonly TraceLeaf[]
  /** There is more than `limit` leaves about it: these are the newest. */
  truncated: boolean
}

/**
 * Reads from the log all that is about an id, what followed from that, and what it followed from. An approver is also known
 * by passkeys: assertions name those.
 */
export async function gather(
  id: string,
  from: {
    index: Pick<LeafIndex, 'mentions' | 'newestMentions'>
    readLeaf: (index: number) => Promise<Uint8Array | undefined>
    registry: RegistryState
  },
  limit = 2000,
): Promise<Gathered> {
  const passkeys = from.registry.get('approver', id)?.credentials.map(({ credential_id }) => credential_id) ?? []
  const ids = new Set([id, ...passkeys])
  const leaves = new Map<number, TraceLeaf>()
  const asked = new Set<string>()

  async function read(index: number): Promise<TraceLeaf | undefined> {
    const bytes = await from.readLeaf(index)
    const leaf = bytes && traceLeaf(index, bytes)
    if (leaf !== undefined) leaves.set(index, leaf)
    return leaf
  }

  /** What it follows from: of that the beginnings alone, not all else that came of them. */
  async function readCauses({ event }: TraceLeaf): Promise<void> {
    for (const cause of placeOf(event).from.map(nameOf)) {
      if (asked.has(cause)) continue
      asked.add(cause)
      for (const index of beginningsOf(cause, from.index.mentions(cause))) {
        const leaf = leaves.get(index) ?? (await read(index))
        if (leaf !== undefined) await readCauses(leaf)
      }
    }
  }

  let truncated = false
  const followed = new Set<string>()
  for (const queue = [...ids]; queue.length > 0; ) {
    const name = queue.pop() as string
    followed.add(name)
    // The newest first: of a long story its end is told.
    for (const { index } of from.index.newestMentions(name, limit + 1)) {
      if (leaves.has(index)) continue
      truncated ||= leaves.size >= limit
      if (truncated) break
      const leaf = await read(index)
      if (leaf === undefined) continue
      const { is } = placeOf(leaf.event)
      if (is !== undefined && !followed.has(nameOf(is))) queue.push(nameOf(is))
    }
  }
  for (const leaf of [...leaves.values()]) await readCauses(leaf)
  return { ids, leaves: [...leaves.values()], truncated }
}

/** `approval of req_…` is looked for under the request's id. */
const nameOf = (cause: string) => cause.slice(cause.lastIndexOf(' ') + 1)

/** The first event of each type that brings a thing into being; the ids of one kind stand in the events of others, too. */
function beginningsOf(id: string, mentions: Iterable<Mention>): number[] {
  const wanted = new Set(beginnings.filter((type) => id.startsWith(prefixOf[type] ?? ' ')))
  const found: number[] = []
  if (wanted.size === 0) return found
  for (const { index, type } of mentions) {
    if (!wanted.delete(type)) continue
    found.push(index)
    if (wanted.size === 0 || type.startsWith('decision.')) break
  }
  return found
}

const prefixOf: Readonly<Record<string, string>> = {
  'request.received': 'req_',
  'request.approved': 'req_',
  'grant.created': 'grt_',
  'delegation.redeemed': 'dlg_',
  'credential.intended': 'crd_',
  'decision.allowed': 'dec_',
  'decision.denied': 'dec_',
}
