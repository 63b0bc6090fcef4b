import type { DecodedEvent, Head } from '@bailiwick/contracts'

/** A head whose `time` differs by more than this from the clock on receipt is ignored: it is old, or somebody's clock is. */
const maxHeadSkewMs = 1000

export interface ReceivedHead {
  head: Head
  /** Monotonic ms at receipt. */
  receivedAt: number
}

/** The newest head of each producer, and of the active instance of each service. */
export class Heads {
  readonly #byProducer = new Map<string, ReceivedHead>()
  readonly #active = new Map<string, ReceivedHead>()

  apply(event: DecodedEvent<'heads.v1'>, now: number, monotonic: number): boolean {
    if (Math.abs(Date.parse(event.time) - now) > maxHeadSkewMs) return false
    const received = { head: event.data, receivedAt: monotonic }
    this.#byProducer.set(event.data.producer, received)
    if (event.data.active && !event.data.stopping) this.#active.set(event.data.service, received)
    return true
  }

  of(producer: string): ReceivedHead | undefined {
    return this.#byProducer.get(producer)
  }

  /** The active instance's newest head. */
  active(service: Head['service']): ReceivedHead | undefined {
    return this.#active.get(service)
  }

  all(): readonly ReceivedHead[] {
    return [...this.#byProducer.values()]
  }
}

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
