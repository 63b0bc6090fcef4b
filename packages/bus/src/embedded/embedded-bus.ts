import { ServiceError } from '@bailiwick/errors'
import { getOrInsert } from '@bailiwick/kit'
import type { Bus, FollowSubscription, Handled, Message, Outgoing, Position, Since, Subscription } from '../bus.ts'
import { checkOutgoing } from '../limits.ts'
import { COMMIT_MS, CommitQueue } from './commit-queue.ts'
import { ConsumerGroup, type Positions } from './consumer-group.ts'
import { DurablePartition, type Erasable } from './durable-partition.ts'
import { Follower } from './follower.ts'
import { MemoryPartition } from './memory-partition.ts'
import type { PartitionLog } from './partition-log.ts'
import { partitionOf } from './partition-of.ts'
import { Retention } from './retention.ts'
import { openStorage, type Storage } from './storage.ts'
import { type Topic, Topics } from './topics.ts'

/** How long an orderly end waits for handlers in flight, ms. Messages not handled by then are delivered again. */
const CLOSE_MS = 10_000

export interface EmbeddedBusOptions {
  /** Created if missing, with access for its owner only. */
  dir: string
  /** Called when a topic is first written. The topic keeps that number from then on. */
  partitions: (topic: string) => number
  /** How long a message is kept, ms; `undefined`: for ever. */
  retentionMs: (topic: string) => number | undefined
  /** ms since the epoch. */
  now: () => number
  /** Topics that never touch the disk and keep only their newest messages. They are empty after a start. */
  inMemory?: (topic: string) => boolean
  /**
   * Topics whose events are removed for good, also from the disk, before their retention is over. `undefined`: the topic is not erasable.
   */
  erasable?: (topic: string) => Erasable | undefined
}

/**
 * A bus on files of this machine, for one process at a time. A second process gets `bus_locked`, and can open the bus as soon as
 * the first is gone, however that ended. A late commit is not an error: nothing is answered until the disk has said
 * whether it is durable, and then everything goes on. A write that failed, or is unanswered after minutes, ends the bus: publishes
 * reject with `outcome_unknown` from then on, followers fail, and consumers get nothing more. The process must be restarted.
 */
export async function embeddedBus(options: EmbeddedBusOptions): Promise<EmbeddedBus> {
  const storage = openStorage(options.dir)
  try {
    return new EmbeddedBus(storage, options)
  } catch (error) {
    await storage[Symbol.asyncDispose]()
    throw error
  }
}

export class EmbeddedBus implements Bus {
  /** A little more than a commit may take: a publisher then gives up after the bus does, and so learns why. */
  readonly durableWithinMs = COMMIT_MS + 5000
  readonly #storage: Storage
  readonly #now: () => number
  readonly #topics: Topics
  readonly #queue: CommitQueue
  readonly #retention: Retention
  readonly #groups = new Map<string, ConsumerGroup>()
  /** The one group of each topic that removes events once they are handled. Another group would miss the removed events. */
  readonly #takers = new Map<string, string>()
  readonly #followers = new Set<Follower>()
  #closing: Promise<void> | undefined
  #closed = false

  constructor(storage: Storage, options: EmbeddedBusOptions) {
    const { partitions, retentionMs, now, inMemory = () => false, erasable = () => undefined } = options
    this.#storage = storage
    this.#now = now
    this.#topics = new Topics(storage, partitions, { inMemory, erasable })
    this.#queue = new CommitQueue((puts) => storage.commit(puts))
    const topics = this.#topics
    this.#retention = new Retention(this.#queue, function* cuts() {
      for (const log of topics.all()) {
        const kept = retentionMs(log.topic)
        if (kept !== undefined) yield [log, now() - kept]
      }
    })
  }

  async publish(name: string, events: readonly Outgoing[]): Promise<Position[]> {
    // Up to the queue's promise nothing here may await: earlier calls must be queued before later ones.
    if (this.#closed) throw closed()
    checkOutgoing(events)
    const topic = this.#topics.get(name)
    let bytes = 0
    for (const event of events) bytes += event.bytes.byteLength
    this.#queue.admit(events.length, bytes)
    return topic.inMemory ? this.#keep(topic, events) : await this.#write(topic, events, bytes)
  }

  #keep(topic: Topic & { inMemory: true }, events: readonly Outgoing[]): Position[] {
    const now = this.#now()
    return events.map(({ key, bytes }) => {
      const log = at(topic.partitions, partitionOf(key, topic.partitions.length))
      return { topic: topic.name, partition: log.partition, offset: log.append(key, bytes, now) }
    })
  }

  async #write(topic: Topic & { inMemory: false }, events: readonly Outgoing[], bytes: number): Promise<Position[]> {
    if (events.length === 0) return []
    const now = this.#now()
    const staged = events.map(({ key, bytes }) => {
      return at(topic.partitions, partitionOf(key, topic.partitions.length)).stage(key, bytes, now)
    })
    const isFirst = !topic.recorded
    topic.recorded = true
    await this.#queue.add({
      ...(topic.erasable && { prepare: () => Promise.all(staged.map((one) => one.partition.prepare(one))) }),
      put: () => {
        if (isFirst) this.#topics.putCount(topic)
        for (const one of staged) one.partition.put(one)
      },
      durable: () => {
        for (const one of staged) one.partition.supersede(one)
        for (const [log, offset] of new Map(staged.map((one) => [one.partition, one.offset]))) log.durable(offset)
      },
      events: events.length,
      bytes,
    })
    return staged.map(({ partition, offset }) => ({ topic: topic.name, partition: partition.partition, offset }))
  }

  async consume(
    topics: readonly string[],
    group: string,
    handler: (batch: readonly Message[]) => Promise<readonly Handled[]>,
  ): Promise<Subscription> {
    if (this.#closing) throw closed()
    const logs = this.#logs(topics)
    this.#takeAlone(topics, group)
    this.#forgetHandled(logs, group)
    let members = this.#groups.get(group)
    if (members === undefined) {
      members = new ConsumerGroup(this.#positions(group))
      this.#groups.set(group, members)
    }
    return members.join(logs, handler)
  }

  async follow(
    topics: readonly string[],
    since: Since,
    handler: (batch: readonly Message[]) => Promise<void>,
  ): Promise<FollowSubscription> {
    if (this.#closing) throw closed()
    const starts = this.#logs(topics).map((log) => ({ log, offset: startIn(log, since) }))
    const follower = new Follower(starts, handler, this.#queue.broken)
    this.#followers.add(follower)
    follower.ended.then(() => this.#followers.delete(follower))
    return follower
  }

  /** Why nothing is answered at the moment. */
  late(): string | undefined {
    return this.#queue.late ? 'the disk has not answered a commit in time' : undefined
  }

  async ends(topic: string): Promise<number[]> {
    if (this.#closed) throw closed()
    return this.#topics.get(topic).partitions.map(({ end }) => end)
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    // Consumers end first, while everything that their handlers may wait for still runs: a handler may publish, and follow its own event.
    const handlers = async () => {
      await Promise.all([...this.#groups.values()].map((group) => group.end()))
      await Promise.all([...this.#followers].map((follower) => follower[Symbol.asyncDispose]()))
    }
    await within(CLOSE_MS, handlers())
    this.#closed = true
    await this.#retention.end()
    await this.#queue.idle()
    await this.#storage[Symbol.asyncDispose]()
  }

  #logs(topics: readonly string[]): PartitionLog[] {
    return [...new Set(topics)].flatMap((topic): readonly PartitionLog[] => this.#topics.get(topic).partitions)
  }

  #takeAlone(topics: readonly string[], group: string): void {
    for (const name of topics) {
      const topic = this.#topics.get(name)
      if (topic.inMemory || topic.erasable !== 'once_handled') continue
      const taker = getOrInsert(this.#takers, name, () => group)
      if (taker !== group)
        throw new ServiceError('config_invalid', `${name}: ${taker} takes it, and ${group} would miss some`)
    }
  }

  /** Removes handled messages that a crash left behind. */
  #forgetHandled(logs: readonly PartitionLog[], group: string): void {
    const positions = this.#positions(group)
    for (const log of logs) if (log instanceof DurablePartition) log.handled(positions.get(log))
  }

  #positions(group: string): Positions {
    // In-memory topics start at 0 with each process. A position stored from an earlier process would skip new messages.
    const inMemory = new Map<PartitionLog, number>()
    const key = (log: PartitionLog) => [group, log.topic, log.partition]
    return {
      get: (log) => inMemory.get(log) ?? this.#storage.positions.get(key(log)) ?? 0,
      commit: async (log, offset) => {
        if (log instanceof MemoryPartition) inMemory.set(log, offset)
        else {
          const put = () => void this.#storage.positions.put(key(log), offset)
          const durable = () => log instanceof DurablePartition && log.handled(offset)
          await this.#queue.add({ put, durable, events: 0, bytes: 0 })
        }
      },
    }
  }
}

function startIn(log: PartitionLog, since: Since): number {
  if (since === 'start') return log.first
  const offset = since.offsets?.[log.topic]?.[log.partition]
  if (offset !== undefined) return Math.min(Math.max(log.first, offset), log.end)
  const found = log.seek(since.time)
  return since.orLast ? Math.max(log.first, Math.min(found, log.end - 1)) : found
}

function closed(): ServiceError {
  return new ServiceError('bus_unavailable', 'the bus is closed')
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index]
  if (item === undefined) throw new ServiceError('invariant_broken', `no partition ${index}`)
  return item
}

async function within(ms: number, work: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<void>()
  const timer = setTimeout(late.resolve, ms)
  await Promise.race([work, late.promise])
  clearTimeout(timer)
}
