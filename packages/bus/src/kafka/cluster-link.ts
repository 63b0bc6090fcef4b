import type { Buffer } from 'node:buffer'
import { createRequire } from 'node:module'
import { ServiceError } from '@bailiwick/errors'
import type { Kafka, Logger } from 'kafkajs'
import { clientConfig } from './client.ts'
import type { KafkaConnection } from './connection.ts'
import { slowestFactor } from './fresh-connections.ts'
import { type FetchedBatch, readBatches } from './record-batches.ts'

/** A partition and the broker that leads it. */
export interface Led {
  topic: string
  partition: number
  leader: number
}

export interface Wanted extends Led {
  offset: number
}

export interface FetchedPartition {
  topic: string
  partition: number
  /** Kafka's error code; 0 means no error. The other members are valid only then. */
  errorCode: number
  highWatermark: number
  batches: FetchedBatch[]
}

export interface Fetched {
  partitions: FetchedPartition[]
  /** No byte of records arrived for any of the partitions: then each of them has no records up to its high watermark. */
  empty: boolean
}

/** `earliest`, `latest`, or the first at or after a time in ms. */
export type Point = 'earliest' | 'latest' | { time: number }

/**
 * Reading without a group (KAFKA.md rule 13), reduced to what we need. Every call ends within 15 s, or within 60 s while brokers are slow.
 * After an error a link cannot be used again: close it and open another.
 */
export interface Link {
  /** Looks the leaders up again. A topic's partitions are returned in order, from 0 on. */
  leaders(topics: readonly string[]): Promise<Led[]>
  /** One offset for each partition, in order; undefined where no message is at or after the time. */
  offsets(partitions: readonly Led[], point: Point): Promise<(number | undefined)[]>
  /** One long poll at the broker that leads all of these. Earlier partitions in the list may fill the answer first. */
  fetch(partitions: readonly Wanted[]): Promise<Fetched>
  /** Accepts no more calls. Resolves once the calls in flight have ended and the connections are closed. */
  close(): Promise<void>
}

/** More than kafkajs's own timeouts for one call including a login. A call that takes longer fails and is begun again, ms. */
const CALL_MS = 15_000
/** One poll waits this long for records to arrive, ms (KAFKA.md rule 15). This delays only the end of a link. */
const MAX_WAIT_MS = 300
/** The most bytes of one answer, except for a single larger batch. A follower therefore holds at most this much per broker. */
const MAX_BYTES = 1 << 20
const MAX_PARTITION_BYTES = 512 << 10
/** The only version whose response is parsed below. Kafka 2.3 to 4.x support it. */
const FETCH_VERSION = 11
/** With read_committed, a client that holds a transaction open could delay every reader. We write no transactions. */
const READ_UNCOMMITTED = 0

// The parts of kafkajs's internals that we use (2.2.4, asserted by client.ts), all in this file.
interface Decoder {
  readInt16(): number
  readInt32(): number
  readInt64(): { toString(): string }
  readString(): string
  readBytes(length: number): Buffer
  readArray<T>(read: (decoder: Decoder) => T): T[]
}
interface Protocol {
  request: { apiVersion: number }
}
interface Broker {
  lookupRequest(apiKey: number, definition: unknown): (options: object) => Protocol
  connectionPool: { send(protocol: object): Promise<unknown> }
  listOffsets(options: object): Promise<{
    responses: { topic: string; partitions: { partition: number; offset: string }[] }[]
  }>
}
interface Cluster {
  connect(): Promise<void>
  disconnect(): Promise<void>
  addMultipleTargetTopics(topics: readonly string[]): Promise<void>
  refreshMetadata(): Promise<void>
  findTopicPartitionMetadata(topic: string): { partitionId: number; leader: number }[]
  findBroker(node: { nodeId: number }): Promise<Broker>
}
interface Internals {
  Cluster: new (options: object) => Cluster
  Decoder: new (bytes: Buffer) => Decoder
  socketFactory: () => unknown
  fetch: unknown
  apiKeys: { Fetch: number }
}

const require = createRequire(import.meta.url)

function internals(): Internals {
  return {
    Cluster: require('kafkajs/src/cluster') as Internals['Cluster'],
    Decoder: require('kafkajs/src/protocol/decoder') as Internals['Decoder'],
    socketFactory: require('kafkajs/src/network/socketFactory') as Internals['socketFactory'],
    fetch: require('kafkajs/src/protocol/requests/fetch') as unknown,
    apiKeys: require('kafkajs/src/protocol/requests/apiKeys') as Internals['apiKeys'],
  }
}

/** Connects at the first call. `turn` determines the broker that it begins with: give each link another value. */
export function clusterLink(kafka: Kafka, connection: KafkaConnection, turn: number, callMs = CALL_MS): Link {
  const { Cluster, socketFactory } = internals()
  const logger: Logger = kafka.logger()
  const cluster = new Cluster({
    ...clientConfig(connection, turn),
    logger,
    socketFactory: socketFactory(),
    allowAutoTopicCreation: false, // KAFKA.md rule 18
    metadataMaxAge: 0,
    isolationLevel: READ_UNCOMMITTED,
  })
  const known = new Set<string>()
  const running = new Set<Promise<unknown>>()
  let closing: Promise<void> | undefined
  // kafkajs may wait for ever on a connection that it believes to be alive.
  const inTime = async <T>(answer: Promise<T>): Promise<T> => {
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(() => late.reject(new Error('no answer came')), callMs * slowestFactor())
    return await Promise.race([answer, late.promise]).finally(() => clearTimeout(timer))
  }
  // If a call is in progress while kafkajs disconnects, kafkajs connects once more, and that connection would never be closed.
  const during = async <T>(call: () => Promise<T>): Promise<T> => {
    if (closing) throw new Error('the link is closed')
    const answer = call()
    running.add(answer)
    answer.finally(() => running.delete(answer)).catch(() => {})
    return await inTime(answer)
  }
  const leaders = async (topics: readonly string[]) => {
    await cluster.connect()
    // Adding topics refreshes by itself, and removes a topic again that does not exist or that we may not see.
    if (topics.every((topic) => known.has(topic))) await cluster.refreshMetadata()
    else await cluster.addMultipleTargetTopics(topics)
    for (const topic of topics) known.add(topic)
    return topics.flatMap((topic) => ledOf(topic, cluster.findTopicPartitionMetadata(topic)))
  }
  return {
    leaders: (topics) => during(() => leaders(topics)),
    offsets: (partitions, point) => during(() => listOffsets(cluster, partitions, point)),
    fetch: (partitions) => during(() => fetchFrom(cluster, partitions)),
    close() {
      closing ??= Promise.allSettled(running).then(() => cluster.disconnect())
      return closing
    },
  }
}

/**
 * Right after a topic was created a broker may list none or only some of its partitions, without an error. A caller that took that for the
 * whole topic would never publish anywhere, and would think that it had read the topic to its end.
 */
export function ledOf(topic: string, found: readonly { partitionId: number; leader: number }[]): Led[] {
  const sorted = found.toSorted((a, b) => a.partitionId - b.partitionId)
  if (sorted.length === 0 || sorted.some(({ partitionId }, place) => partitionId !== place))
    throw Object.assign(new Error(`no broker tells of all partitions of ${topic} yet`), {
      type: 'LEADER_NOT_AVAILABLE',
    })
  return sorted.map(({ leader, partitionId: partition }) => ({ topic, partition, leader }))
}

async function listOffsets(
  cluster: Cluster,
  partitions: readonly Led[],
  point: Point,
): Promise<(number | undefined)[]> {
  const timestamp = point === 'latest' ? -1 : point === 'earliest' ? -2 : Math.max(0, Math.floor(point.time))
  const found = new Map<string, number>()
  const ask = async (leader: number, led: readonly Led[]) => {
    const broker = await cluster.findBroker({ nodeId: leader })
    const topics = byTopic(led, ({ partition }) => ({ partition, timestamp }))
    const { responses } = await broker.listOffsets({ isolationLevel: READ_UNCOMMITTED, topics })
    for (const { topic, partitions: answers } of responses) {
      for (const { partition, offset } of answers) found.set(`${topic}/${partition}`, Number(offset))
    }
  }
  await Promise.all([...Map.groupBy(partitions, ({ leader }) => leader)].map(([leader, led]) => ask(leader, led)))
  return partitions.map(({ topic, partition }) => {
    const offset = found.get(`${topic}/${partition}`)
    if (offset === undefined) throw new Error(`no offset for ${topic}/${partition} in the answer`)
    return offset < 0 ? undefined : offset
  })
}

async function fetchFrom(cluster: Cluster, partitions: readonly Wanted[]): Promise<Fetched> {
  const { apiKeys, fetch } = internals()
  const broker = await cluster.findBroker({ nodeId: partitions[0]?.leader ?? -1 })
  const protocol = broker.lookupRequest(
    apiKeys.Fetch,
    fetch,
  )({
    isolationLevel: READ_UNCOMMITTED,
    maxWaitTime: MAX_WAIT_MS,
    minBytes: 1, // KAFKA.md rule 15: this alone decides how soon an event is seen
    maxBytes: MAX_BYTES,
    topics: byTopic(partitions, ({ partition, offset }) => ({
      partition,
      fetchOffset: String(offset),
      maxBytes: MAX_PARTITION_BYTES,
    })),
  })
  if (protocol.request.apiVersion !== FETCH_VERSION) {
    throw new ServiceError('config_invalid', 'the broker is older than Kafka 2.3')
  }
  const response = { decode: async (bytes: Buffer) => readFetch(bytes), parse: async (data: Fetched) => data }
  return (await broker.connectionPool.send({ ...protocol, response })) as Fetched
}

function byTopic<L extends Led, T>(
  partitions: readonly L[],
  what: (one: L) => T,
): { topic: string; partitions: T[] }[] {
  return [...Map.groupBy(partitions, ({ topic }) => topic)].map(([topic, led]) => {
    return { topic, partitions: led.map(what) }
  })
}

/** Fetch Response, version 11. An error of one partition concerns only that one; kafkajs's own reader discards all others with it. */
export function readFetch(bytes: Buffer): Fetched & { clientSideThrottleTime: number } {
  const { Decoder } = internals()
  const decoder = new Decoder(bytes)
  const clientSideThrottleTime = decoder.readInt32() // kafkajs obeys it
  const errorCode = decoder.readInt16()
  if (errorCode !== 0) throw new Error(`Fetch: error ${errorCode}`)
  decoder.readInt32() // session
  let empty = true
  const topics = decoder.readArray((one) => {
    const topic = one.readString()
    return one.readArray((part) => {
      const read = readPartition(part)
      if (read.size > 0) empty = false
      return { topic, ...read.partition }
    })
  })
  return { clientSideThrottleTime, partitions: topics.flat(), empty }
}

function readPartition(part: Decoder): { partition: Omit<FetchedPartition, 'topic'>; size: number } {
  const partition = part.readInt32()
  const errorCode = part.readInt16()
  const highWatermark = Number(part.readInt64().toString())
  part.readInt64() // last stable offset
  part.readInt64() // log start offset
  part.readArray((aborted) => [aborted.readInt64(), aborted.readInt64()])
  part.readInt32() // preferred replica
  const size = Math.max(0, part.readInt32())
  const batches = errorCode === 0 ? readBatches(part.readBytes(size)) : []
  return { partition: { partition, errorCode, highWatermark, batches }, size }
}
