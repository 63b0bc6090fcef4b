import type { DecodedEvent, Head, ServiceName } from '@bailiwick/contracts'

/** A head whose `time` differs by more than this from the clock on receipt is ignored: it is old, or somebody's clock is. */
export const maxHeadSkewMs = 1000
/** So long the active instance must have been silent on the topic before another one may follow it. */
export const takeoverMs = 3000

/**
 * So many instances of a service are told apart. Whoever has a service's key can name as many as he likes: he crowds out those
 * of that service alone, and that is told.
 */
const rememberedAtMost = 1000

/** Of these one instance acts and others stand by; of the rest every instance acts (DESIGN §3). */
const actsAlone: ReadonlySet<ServiceName> = new Set(['approval', 'issuer', 'evidence'])

export interface ReceivedHead {
  head: Head
  /** Monotonic ms at receipt, less what it was under way: what it says is as old as its `time` is. */
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
  /** As of a `ReceivedHead`. */
  receivedAt: number
  /** Of the key that signed it. */
  kid: string
}

/** The one instance of a service that acts. */
export interface Leader {
  producer: string
  /**
   * The key that signs its heads: nobody else speaks in its name, not even with another key of its service, unless that one
   * came to sign after it.
   */
  kid: string
  /** Of its newest head: by its own clock, and when the bus took it; ms since the epoch. */
  time: number
  takenAt: number
}

/** What a reader knows of a head besides what it says. */
export interface Hearing {
  kid: string
  /** When the bus took it, ms since the epoch. */
  takenAt: number
  /** On receipt: ms since the epoch, and monotonic ms. */
  now: number
  monotonic: number
  /** Whether a key came to sign after another one of the same service. */
  succeeds: (kid: string, former: string) => boolean
}

/**
 * The newest head of each instance, and which instance of a service is the active one. That is decided by the topic alone, as
 * everything is (DESIGN §5): its one partition, the order of heads in it and the bus's times of them. So all readers agree on
 * it, instances that stand by included, and at no place of the topic are there two: a claim made while the active one is
 * still heard is void, and so is everything that one says that was succeeded.
 */
export class Heads {
  /** By service and producer, the one that was heard last at the end. */
  readonly #instances = new Map<ServiceName, Map<string, Instance>>()
  /** When one more of a service was heard than are remembered, monotonic ms. */
  readonly #crowdedAt = new Map<ServiceName, number>()
  readonly #active = new Map<string, ReceivedHead>()
  readonly #leaders = new Map<string, Leader>()

  /** Whether it counts: its producer may say this, and it is news. */
  apply(event: DecodedEvent<'heads.v1'>, { kid, takenAt, now, monotonic, succeeds }: Hearing): boolean {
    const { data } = event
    const time = Date.parse(event.time)
    if (actsAlone.has(data.service) && !this.#follows(data, { producer: data.producer, kid, time, takenAt }, succeeds))
      return false
    if (Math.abs(time - now) > maxHeadSkewMs) return false
    const received = { head: data, receivedAt: monotonic - Math.max(0, now - time) }
    this.#remember(received, kid, monotonic)
    if (data.active && !data.stopping) this.#active.set(data.service, received)
    return true
  }

  /** Who was not heard for so long that he is taken for gone makes room; who is alive is never forgotten for another one. */
  #remember({ head, receivedAt }: ReceivedHead, kid: string, monotonic: number): void {
    const { service, producer, stopping } = head
    const instances = this.#instances.get(service) ?? new Map<string, Instance>()
    this.#instances.set(service, instances)
    const isKnown = instances.delete(producer)
    for (const oldest of instances.values()) {
      if (instances.size < rememberedAtMost || monotonic - oldest.receivedAt < takeoverMs) break
      instances.delete(oldest.producer)
    }
    // Not the whole head, which may be as large as an event.
    if (isKnown || instances.size < rememberedAtMost)
      instances.set(producer, { service, producer, stopping, revokedUpTo: revokedUpTo(head), receivedAt, kid })
    else this.#crowdedAt.set(service, monotonic)
  }

  /** Folds who leads. Nothing here depends on when or where it is read. */
  #follows({ service, active, stopping }: Head, said: Leader, succeeds: Hearing['succeeds']): boolean {
    // A repeated head of somebody who is gone must not keep the place for it.
    if (Math.abs(said.time - said.takenAt) > takeoverMs) return false
    const leader = this.#leaders.get(service)
    const acts = active && !stopping
    if (leader?.producer === said.producer) {
      if (leader.kid !== said.kid && !succeeds(said.kid, leader.kid)) return false
      // An older one, which a retry published again, takes nothing back.
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

  /** The instance whose place it is; undefined when the last one said that it stops, or there was none. */
  leader(service: ServiceName): Leader | undefined {
    return this.#leaders.get(service)
  }

  all(): readonly Instance[] {
    return [...this.#instances.values()].flatMap((instances) => [...instances.values()])
  }

  /** The services of which, as of `monotonic` ms, more instances may be alive than `all` gives: nobody knows what those have read. */
  crowded(monotonic: number): ServiceName[] {
    return [...this.#crowdedAt].flatMap(([service, at]) => (monotonic - at < takeoverMs ? [service] : []))
  }
}

/** The offset of the last revocation that counts for whoever said this; -1 before the first. */
export const revokedUpTo = ({ counted }: Head): number => counted['revocations.v1']?.['0']?.offset ?? -1

/** Whether all that the head's topics name is folded: `handled` gives the last offset handled of a topic's partition. */
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
