import type { Bus, Message } from '@bailiwick/bus'
import { type ServiceName, type TopicName, topics } from '@bailiwick/contracts'
import { type EventPurpose, KeyRing, type SigningKey, type Trust } from '@bailiwick/credentials'
import type { ErrorCode } from '@bailiwick/errors'
import { publishHeads } from './head-publisher.ts'
import { judgeByAnchor } from './judge.ts'
import { Producer } from './producer.ts'
import { Projection, type Time } from './projection.ts'

export interface ParticipantOptions {
  bus: Bus
  trust: Trust
  service: ServiceName
  /** Unique for each start; names the producer. */
  instance: string
  eventKey: SigningKey<EventPurpose>
  /** What it follows besides the registry and heads. */
  follows: readonly TopicName[]
  time: Time
  newEventId: () => string
  maxStalenessMs?: number
  /** The process must stop: a follower failed, or a numbered event cannot be made durable. */
  onFatal: (error: unknown) => void
  onRefused?: (message: Message, code: ErrorCode) => void
  /** A head could not be published: readers go stale, and somebody must know why. */
  onHeadError: (error: unknown) => void
  /** Before the first head; what a service must have published by then (the issuer: the genesis). */
  beforeHeads?: (participant: Omit<Participant, typeof Symbol.asyncDispose | 'headNow'>) => Promise<void>
}

/** One service instance on the bus: what it knows, how it speaks, and its heads. */
export interface Participant extends AsyncDisposable {
  keyRing: KeyRing
  projection: Projection
  producer: Producer
  /** Publishes a head at once, so that readers need not wait for the next. */
  headNow(): Promise<void>
}

/** Reads what there is, then begins to speak and to publish heads. Disposing publishes the last head. */
export async function openParticipant(options: ParticipantOptions): Promise<Participant> {
  const { bus, trust, service, instance, time, onFatal } = options
  const keyRing = new KeyRing(trust)
  const projection = await Projection.open({
    bus,
    topics: options.follows,
    keyRing,
    judge: judgeByAnchor(keyRing),
    time,
    ...(options.maxStalenessMs === undefined ? {} : { maxStalenessMs: options.maxStalenessMs }),
    ...(options.onRefused ? { onRefused: options.onRefused } : {}),
  })
  projection.failed.catch(onFatal)
  const { newEventId } = options
  const producer = new Producer({
    bus,
    projection,
    key: options.eventKey,
    service,
    instance,
    time,
    newEventId,
    onFatal,
  })
  try {
    await options.beforeHeads?.({ keyRing, projection, producer })
  } catch (error) {
    await projection[Symbol.asyncDispose]()
    throw error
  }
  const heads = publishHeads({
    producer,
    projection,
    service,
    writes: topics.flatMap((topic) => (topic.writer === service ? [topic.name] : [])),
    active: () => true,
    onError: options.onHeadError,
  })
  return {
    keyRing,
    projection,
    producer,
    headNow: () => heads.now(),
    async [Symbol.asyncDispose]() {
      await heads[Symbol.asyncDispose]()
      await projection[Symbol.asyncDispose]()
    },
  }
}
