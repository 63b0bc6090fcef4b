import { type Bus, type Position, publishUntilDurable } from '@bailiwick/bus'
import {
  type EventData,
  type EventTypeOf,
  encodeEnvelope,
  formatSequence,
  type ServiceName,
  type TopicName,
  topicNamed,
} from '@bailiwick/contracts'
import { type EventPurpose, type SigningKey, sha256, signEvent } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { maxHeadSkewMs } from './heads.ts'
import type { Projection, Time } from './projection.ts'
import type { Verdict } from './verdict.ts'

/** Over early without an error: for each publish one would be made that nobody sees. */
const wait = (ms: number, signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms)
    const end = () => {
      clearTimeout(timer)
      resolve()
    }
    signal.addEventListener('abort', end, { once: true })
  })

/** What a service has to say; the producer adds who, when and the place in its chain. */
export type Draft<N extends TopicName = TopicName> = {
  [E in EventTypeOf<N>]: {
    type: E
    /** Unique; made here unless given. */
    id?: string
    /** What it is about. */
    subject: string
    /** What orders it (`partitionkey`); the subject unless given. */
    key?: string
    version?: number
    traceparent?: string
    data: EventData<N, E>
  }
}[EventTypeOf<N>]

export interface Published {
  id: string
  position: Position
  /** On a topic that the projection follows: whether it counts. Elsewhere `counts`, once durable. */
  verdict: Verdict
}

export interface ProducerOptions {
  bus: Bus
  projection: Projection
  key: SigningKey<EventPurpose>
  service: ServiceName
  /** Unique for each start. */
  instance: string
  time: Time
  newEventId: () => string
  /** A numbered event that cannot be made durable leaves a gap that nobody could explain: the process must stop. */
  onFatal: (error: unknown) => void
  /** Why this instance may say nothing but its heads now, while others act. */
  standby?: () => string | undefined
  /** How long a publish is repeated before that; unless told, as long as the bus says, else 30 s. */
  durableWithinMs?: number
  /** How long to wait for the own event to be read back. */
  readBackWithinMs?: number
}

/** Signs, numbers and chains what one service instance publishes, and reads it back to see whether it counts (DESIGN §4, §5). */
export class Producer {
  readonly source: string
  readonly #options: ProducerOptions & { durableWithinMs: number; readBackWithinMs: number }
  #sequence = 0
  #previous: string | undefined

  constructor(options: ProducerOptions) {
    this.#options = { durableWithinMs: options.bus.durableWithinMs ?? 30_000, readBackWithinMs: 5000, ...options }
    this.source = `/${options.service}/${options.instance}`
  }

  /** The end of its own chain, as a head names it. */
  get end(): { sequence: number; hash: string } {
    return { sequence: this.#sequence, hash: this.#previous ?? this.#predecessor() }
  }

  /** The service's newest event: whoever stood by until now succeeds the one that acted last, not the one before it. */
  #predecessor(): string {
    const last = this.#options.projection.ledger.chains.newestOf(this.#options.service)
    return last ? `${last.source}#${formatSequence(last.sequence)}:${last.hash}` : 'none'
  }

  /**
   * Resolves when all drafts are durable and, on a followed topic, read back. Rejects before anything was numbered with
   * `event_too_large`, and with `service_standby` while another instance acts; with `deadline_exceeded` when durable but not
   * read back in time: then whether it counts is unknown. When a numbered event cannot be made durable, `onFatal` has been told.
   */
  async publish<N extends TopicName>(topic: N, drafts: readonly Draft<N>[]): Promise<Published[]> {
    const { bus, projection, onFatal, standby } = this.#options
    const standsBy = topic === 'heads.v1' ? undefined : standby?.()
    if (standsBy !== undefined) throw new ServiceError('service_standby', standsBy)
    const { durableWithinMs, readBackWithinMs } = this.#deadlines(topic)
    const events = this.#sign(topic, drafts)
    const verdicts = projection.follows(topic)
      ? events.map((event) => projection.verdictOn(topic, event, durableWithinMs + readBackWithinMs))
      : events.map((): Promise<Verdict> => Promise.resolve('counts'))
    const all = Promise.all(verdicts)
    all.catch(() => undefined) // awaited below, unless publishing itself fails first
    let positions: Position[]
    try {
      positions = await publishUntilDurable(bus, topic, events, { deadlineMs: durableWithinMs, wait })
    } catch (error) {
      // What has no number leaves no gap: its caller tries again, and readers that miss it are stale meanwhile.
      if (topicNamed(topic)?.leaf === true) onFatal(error)
      throw error
    }
    const settled = await all
    return events.map(({ id }, n) => ({ id, position: positions[n] as Position, verdict: settled[n] as Verdict }))
  }

  /** An old head is ignored by everybody: there is a newer one by then, and at a stop nobody waits for it. */
  #deadlines(topic: TopicName): { durableWithinMs: number; readBackWithinMs: number } {
    const { durableWithinMs, readBackWithinMs } = this.#options
    const most = topic === 'heads.v1' ? maxHeadSkewMs : Number.POSITIVE_INFINITY
    return { durableWithinMs: Math.min(durableWithinMs, most), readBackWithinMs: Math.min(readBackWithinMs, most) }
  }

  /** One draft; gives it only if it counts, else throws `state_contended`. */
  async publishOne<N extends TopicName>(topic: N, draft: Draft<N>): Promise<Published> {
    const [published] = await this.publish(topic, [draft])
    if (published?.verdict !== 'counts') throw new ServiceError('state_contended', `${draft.type} is void`)
    return published
  }

  /** Synchronous, so that numbers follow the order of calls; nothing is numbered unless all of it can be signed. */
  #sign<N extends TopicName>(topic: N, drafts: readonly Draft<N>[]): { id: string; key: string; bytes: Uint8Array }[] {
    const leaf = topicNamed(topic)?.leaf === true
    let sequence = this.#sequence
    let previous = this.#previous ?? this.#predecessor()
    const signed = drafts.map((draft) => {
      const id = draft.id ?? this.#options.newEventId()
      const key = draft.key ?? draft.subject
      const unsigned = encodeEnvelope({
        specversion: '1.0',
        id,
        source: this.source,
        type: draft.type,
        time: new Date(this.#options.time.now()).toISOString(),
        subject: draft.subject,
        datacontenttype: 'application/json',
        dataschema: `urn:bailiwick:schema:${topic}:${draft.type}`,
        traceparent: draft.traceparent,
        partitionkey: key,
        version: draft.version,
        ...(leaf ? { sequence: formatSequence(++sequence), previous } : {}),
        data: draft.data,
      })
      const bytes = signEvent(unsigned, this.#options.key)
      if (leaf) previous = sha256(bytes)
      return { id, key, bytes }
    })
    this.#sequence = sequence
    if (sequence > 0) this.#previous = previous
    return signed
  }
}
