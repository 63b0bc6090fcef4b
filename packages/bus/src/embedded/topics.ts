import { join } from 'node:path'
import { ServiceError } from '@bailiwick/errors'
import type { Database, Key } from 'lmdb'
import { BodyFiles } from './body-files.ts'
import { DurablePartition, type Erasable, type Stores } from './durable-partition.ts'
import { MemoryPartition } from './memory-partition.ts'
import type { PartitionLog } from './partition-log.ts'

/** Kafka's rule, so that a name that works on one adapter works on both. */
const TOPIC_NAME = /^[A-Za-z0-9._-]{1,249}$/

export type Topic =
  | { name: string; inMemory: true; partitions: readonly MemoryPartition[] }
  | {
      name: string
      inMemory: false
      erasable: Erasable | undefined
      partitions: readonly DurablePartition[]
      recorded: boolean
    }

export interface TopicStores extends Stores {
  /** Topic → its number of partitions. */
  counts: Database<number, Key>
  /** The folder for the events of erasable topics. */
  erasable: string
}

/** The special kinds of topics. */
interface Kinds {
  inMemory: (topic: string) => boolean
  erasable: (topic: string) => Erasable | undefined
}

/**
 * The topics of this process, each opened on first use. As on Kafka, a topic keeps the number of partitions with which it
 * was first written, even if another number is configured later: that would send a key elsewhere and break its order.
 */
export class Topics {
  readonly #stores: TopicStores
  readonly #partitions: (topic: string) => number
  readonly #kinds: Kinds
  readonly #open = new Map<string, Topic>()

  constructor(stores: TopicStores, partitions: (topic: string) => number, kinds: Kinds) {
    this.#stores = stores
    this.#partitions = partitions
    this.#kinds = kinds
    for (const name of stores.counts.getKeys()) this.get(String(name))
  }

  /** Throws `config_invalid` for an invalid name or number of partitions. */
  get(name: string): Topic {
    let topic = this.#open.get(name)
    if (topic === undefined) {
      topic = this.#load(name)
      this.#open.set(name, topic)
    }
    return topic
  }

  *all(): Iterable<PartitionLog> {
    for (const topic of this.#open.values()) yield* topic.partitions
  }

  /** Call this inside the transaction that first writes the topic. */
  putCount(topic: Topic): void {
    this.#stores.counts.put(topic.name, topic.partitions.length)
  }

  #load(name: string): Topic {
    if (!TOPIC_NAME.test(name)) throw new ServiceError('config_invalid', 'not the name of a topic')
    const stored = this.#stores.counts.get(name)
    const count = stored ?? this.#partitions(name)
    if (!Number.isInteger(count) || count < 1) throw new ServiceError('config_invalid', `${name}: ${count} partitions`)
    const numbers = Array.from({ length: count }, (_, n) => n)
    if (this.#kinds.inMemory(name)) {
      return { name, inMemory: true, partitions: numbers.map((n) => new MemoryPartition(name, n)) }
    }
    const erasable = this.#kinds.erasable(name)
    const partitions = numbers.map((n) => {
      const bodies = erasable && new BodyFiles(join(this.#stores.erasable, name, String(n)))
      return new DurablePartition(this.#stores, name, n, bodies && { bodies, goes: erasable })
    })
    return { name, inMemory: false, erasable, partitions, recorded: stored !== undefined }
  }
}
