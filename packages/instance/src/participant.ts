import type { Bus, Message } from '@bailiwick/bus'
import { type ServiceName, type TopicName, topics } from '@bailiwick/contracts'
import { type EventPurpose, KeyRing, type SigningKey, type Trust } from '@bailiwick/credentials'
import type { ErrorCode } from '@bailiwick/errors'
import { judgeByAnchor } from '@bailiwick/projection'
import { followKeys, type OnKeyMissing } from './follow-keys.ts'
import { type HeadPublisher, publishHeads } from './head-publisher.ts'
import { Producer } from './producer.ts'
import { lookbackMs, Projection, type Time } from './projection.ts'
import { readOwnSnapshot, SnapshotKeeper, type SnapshotOptions, usable } from './snapshots/snapshots.ts'
import { Succession, type SuccessionOptions } from './succession.ts'

export interface ParticipantOptions {
  bus: Bus
  trust: Trust
  service: ServiceName
  /** Unique for each start. It names the producer. */
  instance: string
  eventKey: SigningKey<EventPurpose>
  /** Its other keys. Like the event key, they sign as the registry says. */
  otherKeys?: readonly SigningKey[]
  onKeyMissing?: OnKeyMissing
  /** The topics that it follows in addition to the registry and heads. */
  follows: readonly TopicName[]
  time: Time
  newEventId: () => string
  maxStalenessMs?: number
  /** Where its state is kept between starts (decision 86). Absent: each start reads everything. */
  snapshots?: SnapshotOptions | undefined
  /** The process must stop: a follower failed, or the bus will never take a numbered event. */
  onFatal: (error: unknown) => void
  onRefused?: (message: Message, code: ErrorCode) => void
  /** A head could not be published: readers go stale, and the operator must learn why. */
  onHeadError: (error: unknown) => void
}

/** The state that one service instance knows, and its means to publish, whether all instances act or one (docs/decisions/0063). */
export interface Voice {
  keyRing: KeyRing
  projection: Projection
  producer: Producer
}

/** An instance of a service whose instances all act: its state, its means to publish, and its heads (docs/decisions/0063). */
export interface Participant extends Voice, Pick<HeadPublisher, 'latencyMs'>, AsyncDisposable {}

/**
 * An instance of a service of which one instance acts while the others follow everything and stand by (DESIGN §3). Its states are in
 * docs/decisions/0063.
 */
export interface Successor extends Voice, AsyncDisposable {
  /**
   * Begins to publish heads and to stand by. If no other instance is active, this one is active when the promise resolves, and `work` has
   * begun. Otherwise `work` begins when this instance takes over. The value that `work` gives is disposed of ahead of the last head.
   * Rejects if something keeps this instance from ever acting. Call it once.
   */
  standBy(work: () => Promise<AsyncDisposable | undefined>): Promise<void>
  /** Why it may not answer now; undefined while it is the active one. When standing by it can publish nothing but heads. */
  standby(): string | undefined
}

const writesOf = (service: ServiceName) => topics.flatMap(({ writer, name }) => (writer === service ? [name] : []))

/** Reads everything there is. The caller disposes of the projection, and then of `kept`. */
async function openVoice(
  options: ParticipantOptions,
  standby?: () => string | undefined,
): Promise<{ voice: Voice; kept: AsyncDisposable }> {
  const { bus, trust, service, instance, time, onFatal, newEventId } = options
  const snapshots = options.snapshots && usable(options.snapshots)
  const from = snapshots && (await snapshotFor(options, snapshots))
  const keyRing = new KeyRing(trust)
  const projection = await Projection.open({
    bus,
    topics: options.follows,
    keyRing,
    judge: judgeByAnchor(keyRing),
    time,
    from,
    onMalformed: () => snapshots?.onRead?.({ refused: 'malformed' }),
    ...(options.maxStalenessMs === undefined ? {} : { maxStalenessMs: options.maxStalenessMs }),
    ...(options.onRefused ? { onRefused: options.onRefused } : {}),
  })
  projection.failed.catch(onFatal)
  followKeys(projection, [options.eventKey, ...(options.otherKeys ?? [])], options.onKeyMissing)
  const producer = new Producer({
    bus,
    projection,
    key: options.eventKey,
    service,
    instance,
    time,
    newEventId,
    onFatal,
    ...(standby ? { standby } : {}),
  })
  const kept = new AsyncDisposableStack()
  if (snapshots) {
    kept.use(
      new SnapshotKeeper({
        ...snapshots,
        owner: { service, trust },
        monotonic: () => time.monotonic(),
        marks: () => projection.marks(),
        cut: () => projection.cut(),
      }),
    )
  }
  return { voice: { keyRing, projection, producer }, kept }
}

async function snapshotFor({ bus, service, trust, time }: ParticipantOptions, snapshots: SnapshotOptions) {
  const now = time.now()
  const read = await readOwnSnapshot(snapshots, { owner: { service, trust }, bus, now, lookbackMs })
  snapshots.onRead?.(typeof read === 'string' ? { refused: read } : { ageMs: now - read.takenAt })
  return typeof read === 'string' ? undefined : read
}

/**
 * Reads everything there is, then begins to publish events and heads. For services of which all instances act.
 * `beforeHeads`: publishes what must precede the first head. Disposing publishes the last head.
 */
export async function openParticipant(
  options: ParticipantOptions & { beforeHeads?: (voice: Voice) => Promise<void> },
): Promise<Participant> {
  const { service, time, onHeadError: onError } = options
  const { voice, kept } = await openVoice(options)
  const { projection, producer } = voice
  try {
    await options.beforeHeads?.(voice)
  } catch (error) {
    producer[Symbol.dispose]()
    await projection[Symbol.asyncDispose]()
    await kept[Symbol.asyncDispose]()
    throw error
  }
  const monotonic = () => time.monotonic()
  const writes = writesOf(service)
  const heads = publishHeads({ producer, projection, service, writes, active: () => true, monotonic, onError })
  return {
    ...voice,
    latencyMs: heads.latencyMs,
    async [Symbol.asyncDispose]() {
      await heads[Symbol.asyncDispose]()
      producer[Symbol.dispose]()
      await projection[Symbol.asyncDispose]()
      await kept[Symbol.asyncDispose]()
    },
  }
}

/** Reads everything there is; `standBy` does the rest. Disposing ends the work, if it had begun, and publishes the last head. */
export async function openSuccessor(
  options: ParticipantOptions & Pick<SuccessionOptions, 'hold' | 'onStanding'>,
): Promise<Successor> {
  const { service, time, onFatal, onHeadError: onError, hold, onStanding } = options
  let succession: Succession | undefined
  const early = 'it has just started'
  const { voice, kept } = await openVoice(options, () => (succession ? succession.silenced() : early))
  const { projection, producer } = voice
  const writes = writesOf(service)
  const owned = new AsyncDisposableStack()
  owned.use(kept) // disposed of last, once nothing more is read
  owned.use(projection)
  owned.use(producer)
  return {
    ...voice,
    standby: () => (succession ? succession.standby() : early),
    async standBy(work) {
      const heads = publishHeads({
        producer,
        projection,
        service,
        writes,
        active: () => succession?.speaksAsActive ?? false,
        monotonic: () => time.monotonic(),
        onError,
      })
      owned.use(heads)
      const more = { ...(hold ? { hold } : {}), ...(onStanding ? { onStanding } : {}) }
      const { source } = producer
      succession = owned.use(
        new Succession({ service, producer: source, projection, heads, writes, time, onFatal, ...more }, work),
      )
      await succession.open()
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
