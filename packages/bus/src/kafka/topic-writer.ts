import { Buffer } from 'node:buffer'
import { ServiceError } from '@bailiwick/errors'
import kafkajs, { type PartitionMetadata } from 'kafkajs'
import type { Outgoing, Position } from '../bus.ts'
import type { Lane, Parcel } from './lane.ts'

export interface TopicLimits {
  /** The most that may wait for acknowledgement, over all partitions. */
  events: number
  bytes: number
}

const defaultLimits: TopicLimits = { events: 32_768, bytes: 64 << 20 }

export interface TopicWriterOptions {
  topic: string
  /** Called once, and again only after it rejected. */
  partitions: () => Promise<number>
  lane: (partition: number) => Lane
  limits?: TopicLimits
}

/**
 * Distributes published events over the lanes of one topic. kafkajs's DefaultPartitioner gives the partition of a key: murmur2, as in
 * every other Kafka client (KAFKA.md rule 1), over the number of partitions when the topic was first used. Another number would send a key
 * elsewhere and break its order.
 */
export class TopicWriter {
  readonly #options: TopicWriterOptions
  readonly #limits: TopicLimits
  readonly #partitionOf = kafkajs.Partitioners.DefaultPartitioner()
  readonly #lanes = new Map<number, Lane>()
  readonly #calls = new Set<Promise<Position[]>>()
  #partitions: Promise<number> | undefined
  #metadata: PartitionMetadata[] = []
  #events = 0
  #bytes = 0

  constructor(options: TopicWriterOptions) {
    this.#options = options
    this.#limits = options.limits ?? defaultLimits
  }

  /** The lanes used so far. */
  get lanes(): readonly Lane[] {
    return [...this.#lanes.values()]
  }

  /** Like `Bus.publish`, for events that `checkOutgoing` accepted. Throws `queue_full` at once (KAFKA.md rule 6). */
  publish(events: readonly Outgoing[]): Promise<Position[]> {
    let bytes = 0
    for (const event of events) bytes += event.bytes.byteLength
    this.#admit(events.length, bytes)
    // Copied before anything awaits: the caller may reuse the bytes when publish has returned.
    const same = events.map(({ key, bytes: value }) => ({ key: Buffer.from(key), value: Buffer.from(value) }))
    const call = this.#send(same).finally(() => {
      this.#events -= events.length
      this.#bytes -= bytes
      this.#calls.delete(call)
    })
    this.#calls.add(call)
    return call
  }

  /** Resolves when every call has its answer. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#calls)
  }

  #admit(events: number, bytes: number): void {
    if (this.#events + events > this.#limits.events || this.#bytes + bytes > this.#limits.bytes) {
      throw new ServiceError('queue_full', `too much waits to be published on ${this.#options.topic}`)
    }
    this.#events += events
    this.#bytes += bytes
  }

  async #send(events: readonly { key: Buffer; value: Buffer }[]): Promise<Position[]> {
    // All calls wait for the same promise, and so continue in the order in which they were made.
    const partitions = await this.#count()
    const { topic } = this.#options
    const call = new Call(events.length)
    const parcels = Map.groupBy(
      events.map(({ key, value }, n) => ({ partition: this.#place(key, value, partitions), key, value, n })),
      ({ partition }) => partition,
    )
    for (const [partition, own] of parcels) {
      this.#lane(partition).add(own.map(({ key, value, n }) => call.parcel(key, value, n, { topic, partition })))
    }
    return await call.positions
  }

  async #count(): Promise<number> {
    this.#partitions ??= this.#options.partitions().catch((error: unknown) => {
      this.#partitions = undefined
      throw error
    })
    return await this.#partitions
  }

  #place(key: Buffer, value: Buffer, partitions: number): number {
    if (this.#metadata.length !== partitions) this.#metadata = partitionsOf(partitions)
    return this.#partitionOf({
      topic: this.#options.topic,
      partitionMetadata: this.#metadata,
      message: { key, value },
    })
  }

  #lane(partition: number): Lane {
    let lane = this.#lanes.get(partition)
    if (lane === undefined) {
      lane = this.#options.lane(partition)
      this.#lanes.set(partition, lane)
    }
    return lane
  }
}

/** One call of publish. Answered when all of its events are acknowledged, or at the first failure. */
class Call {
  readonly #answer = Promise.withResolvers<Position[]>()
  readonly #positions: Position[]
  #left: number
  #failed = false

  constructor(events: number) {
    this.#positions = new Array(events)
    this.#left = events
    if (events === 0) this.#answer.resolve([])
  }

  get positions(): Promise<Position[]> {
    return this.#answer.promise
  }

  parcel(key: Buffer, value: Buffer, n: number, place: { topic: string; partition: number }): Parcel {
    const abandoned = () => this.#failed
    return {
      key,
      value,
      acknowledged: (offset) => {
        this.#positions[n] = { ...place, offset }
        this.#left -= 1
        if (this.#left === 0) this.#answer.resolve(this.#positions)
      },
      failed: (error) => {
        this.#failed = true
        this.#answer.reject(error)
      },
      get abandoned() {
        return abandoned()
      },
    }
  }
}

/** In the form that the partitioner expects; it only looks at their number. */
function partitionsOf(count: number): PartitionMetadata[] {
  return Array.from({ length: count }, (_, partitionId) => {
    return { partitionId, partitionErrorCode: 0, leader: 0, replicas: [], isr: [] }
  })
}
