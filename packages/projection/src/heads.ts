import type { DecodedEvent, Head, ServiceName } from '@bailiwick/contracts'

/** A head whose `time` differs by more than this from the reader's clock on receipt is ignored: the head is old, or a clock is wrong. */
export const maxHeadSkewMs = 1000
/** The active instance must have been silent on the topic for this long before another one may follow it. */
export const takeoverMs = 3000

/**
 * How many instances of a service are remembered separately. A thief of a service's key can name as many as it likes. That crowds out
 * instances of that service only, and `crowded` reports it.
 */
const rememberedAtMost = 1000

/** Of these services one instance acts and others stand by. Of all others every instance acts (DESIGN §3). */
const actsAlone: ReadonlySet<ServiceName> = new Set(['approval', 'issuer', 'evidence'])

export interface ReceivedHead {
  head: Head
  /** Monotonic ms at receipt, less the time it was under way: a head's content is as old as its `time`. */
  receivedAt: number
}

/** One instance of a service, by its newest head. */
export interface Instance {
  service: ServiceName
  /** `/<service>/<instance>` */
  producer: string
  stopping: boolean
  /** The offset of the last revocation that counts for it; -1 before the first. */
  revokedUpTo: number
  /** As in `ReceivedHead`. */
  receivedAt: number
  /** The id of the key that signed it. */
  kid: string
}

/** The one instance of a service that acts. */
export interface Leader {
  producer: string
  /** The id of its newest head: the head that took the place, or the last one that kept it. */
  id: string
  /**
   * The key that signs its heads. No other key can speak in this instance's name. The only exception is a key of its service that became
   * the signing key later.
   */
  kid: string
  /** When its newest head was made, by its own clock, and when the bus took it; ms since the epoch. */
  time: number
  takenAt: number
}

/** What a reader knows about a head in addition to its content. */
export interface Hearing {
  kid: string
  /** When the bus took it, ms since the epoch. */
  takenAt: number
  /** The reader's clocks on receipt: ms since the epoch, and monotonic ms. */
  now: number
  monotonic: number
  /** Whether a key became the signing key after another key of the same service. */
  succeeds: (kid: string, former: string) => boolean
}

/**
 * The newest head of each instance, and which instance of a service is the active one. The topic alone decides that (DESIGN §5): its one
 * partition, the order of its heads, and the bus's times of them. So all readers agree, including instances that stand by,
 * and at any place of the topic there is at most one active instance. A claim made while the active one is still heard is void.
 * So is every head of an instance that was succeeded.
 */
export class Heads {
  /** By service and producer. The instance that was heard last is at the end. */
  readonly #instances = new Map<ServiceName, Map<string, Instance>>()
  /** When a service had more instances than are remembered, monotonic ms. */
  readonly #crowdedAt = new Map<ServiceName, number>()
  readonly #active = new Map<string, ReceivedHead>()
  readonly #leaders = new Map<string, Leader>()

  /** Whether the head counts: its producer may say this, and it is news. */
  apply(event: DecodedEvent<'heads.v1'>, { kid, takenAt, now, monotonic, succeeds }: Hearing): boolean {
    const { data } = event
    const time = Date.parse(event.time)
    const said = { producer: data.producer, id: event.id, kid, time, takenAt }
    if (actsAlone.has(data.service) && !this.#follows(data, said, succeeds)) return false
    if (Math.abs(time - now) > maxHeadSkewMs) return false
    const received = { head: data, receivedAt: monotonic - Math.max(0, now - time) }
    this.#remember(received, kid, monotonic)
    if (data.active && !data.stopping) this.#active.set(data.service, received)
    return true
  }

  /** An instance that was silent long enough to count as gone makes room. A live one is never forgotten in favour of another. */
  #remember({ head, receivedAt }: ReceivedHead, kid: string, monotonic: number): void {
    const { service, producer, stopping } = head
    const instances = this.#instances.get(service) ?? new Map<string, Instance>()
    this.#instances.set(service, instances)
    const isKnown = instances.delete(producer)
    for (const oldest of instances.values()) {
      if (instances.size < rememberedAtMost || monotonic - oldest.receivedAt < takeoverMs) break
      instances.delete(oldest.producer)
    }
    // Does not keep the whole head, which may be as large as an event.
    if (isKnown || instances.size < rememberedAtMost)
      instances.set(producer, { service, producer, stopping, revokedUpTo: revokedUpTo(head), receivedAt, kid })
    else this.#crowdedAt.set(service, monotonic)
  }

  /** Folds which instance leads. The result does not depend on when or where the head is read. */
  #follows({ service, active, stopping }: Head, said: Leader, succeeds: Hearing['succeeds']): boolean {
    // A repeated head of an instance that is gone must not keep its place.
    if (Math.abs(said.time - said.takenAt) > takeoverMs) return false
    const leader = this.#leaders.get(service)
    const acts = active && !stopping
    if (leader?.producer === said.producer) {
      if (leader.kid !== said.kid && !succeeds(said.kid, leader.kid)) return false
      // An older head, published again by a retry, does not end the place.
      if (!acts && said.time < leader.time) return false
      if (acts) this.#leaders.set(service, said)
      else this.#leaders.delete(service)
      return true
    }
    if (!acts) return true
    if (leader !== undefined && said.takenAt - leader.takenAt < takeoverMs) return false
    this.#leaders.set(service, said)
    return true
  }

  /** The active instance's newest head. */
  active(service: ServiceName): ReceivedHead | undefined {
    return this.#active.get(service)
  }

  /** The instance that holds the place; undefined when the last one said that it stops, or when there was none. */
  leader(service: ServiceName): Leader | undefined {
    return this.#leaders.get(service)
  }

  all(): readonly Instance[] {
    return [...this.#instances.values()].flatMap((instances) => [...instances.values()])
  }

  /** Services that may, as of `monotonic` ms, have more live instances than `all` gives. What the missing ones have read is unknown. */
  crowded(monotonic: number): ServiceName[] {
    return [...this.#crowdedAt].flatMap(([service, at]) => (monotonic - at < takeoverMs ? [service] : []))
  }
}

/** The offset of the last revocation that counts for the instance of this head; -1 before the first. */
export const revokedUpTo = ({ counted }: Head): number => counted['revocations.v1']?.['0']?.offset ?? -1

/** Whether everything that the head's topics name is folded. `handled` gives the last offset handled of a topic's partition. */
export function hasFolded(
  head: Head,
  topics: ReadonlySet<string>,
  handled: (topic: string, partition: number) => number,
): boolean {
  return Object.entries(head.counted).every(
    ([topic, partitions]) =>
      !topics.has(topic) ||
      Object.entries(partitions).every(([partition, { offset }]) => handled(topic, Number(partition)) >= offset),
  )
}
