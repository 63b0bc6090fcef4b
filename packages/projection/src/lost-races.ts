/** Where an event wants to stand: `name` is of the tree, request or topic whose versions it counts with. */
export interface Claim {
  name: string
  eventId: string
  version: number
  /** The event that it was evaluated after, where it says so (decision 11). */
  after: string | undefined
}

/** One order so far: its newest event that counts, and who lost a place behind it. */
export interface Order {
  version: number
  head: string
  lost: readonly { id: string; version: number }[]
}

/** A batch has 128 events, and several writers may lose one at once. */
const mostLost = 1024

/** What an event of a log claims; undefined for what needs no version, and for the registry, whose changes people sign. */
export function claimOf(event: Readonly<Record<string, unknown>>): Claim | undefined {
  const topic = /^urn:bailiwick:schema:([^:]+):/.exec(String(event.dataschema))?.[1]
  const { id, version, partitionkey, data } = event
  if (topic === undefined || topic === 'registry.v1' || !Number.isSafeInteger(version)) return undefined
  const name = topic === 'revocations.v1' ? topic : `${topic} ${partitionkey}`
  const after: unknown = Object(data).after
  return { name, eventId: String(id), version: version as number, after: typeof after === 'string' ? after : undefined }
}

/**
 * Whether an event lost its place to another writer (DESIGN §5: void for every reader), by versions alone, for readers that have every
 * event of an order and not its state; and the order that the next one is judged by. Where somebody left an event out, or made one up,
 * nothing is taken for lost: what happened must not be hidden behind that.
 */
export function race(claim: Claim, order: Order | undefined): { isLost: boolean; order: Order | undefined } {
  const { eventId: id, version, after } = claim
  if (order === undefined) return { isLost: false, order: version === 1 ? { version, head: id, lost: [] } : undefined }
  const isLost = version <= order.version || order.lost.some((each) => each.id === after)
  if (isLost) return { isLost, order: { ...order, lost: [...order.lost, { id, version }].slice(-mostLost) } }
  const isNext = version === order.version + 1 && (after === undefined || after === order.head)
  // Behind one that lost an older place, nothing comes that is not lost by its own version.
  const lost = order.lost.filter((each) => each.version >= version)
  return { isLost, order: isNext ? { version, head: id, lost } : order }
}
