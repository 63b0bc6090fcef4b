import { setMaxListeners } from 'node:events'
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
import { errorCode, ServiceError } from '@bailiwick/errors'
import { maxHeadSkewMs, type Verdict } from '@bailiwick/projection'
import { InHand, type Waiting } from './in-hand.ts'
import type { Projection, Time } from './projection.ts'

/** Resolves early, without an error: otherwise each publish would create an error that is never handled. */
const wait = (ms: number, signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms)
    const end = () => {
      clearTimeout(timer)
      resolve()
    }
    signal.addEventListener('abort', end, { once: true })
  })

/** How long a numbered event may wait for the bus before no further event is numbered, ms. This bounds the number of waiting events. */
const awayAfterMs = 10_000
/** The pause before the next try when the bus refuses an event, ms. */
const refusedAgainMs = 500
/** For a response without a deadline: the longest time that a timer can be set to, ms. */
const longestMs = 2 ** 31 - 1
/** The most heads that may wait for the bus. More would only delay a newer head. */
const mostHeads = 4

/** The content that a service wants to publish. The producer adds its name, the time and the place in its chain. */
export type Draft<N extends TopicName = TopicName> = {
  [E in EventTypeOf<N>]: {
    type: E
    /** Unique; generated here unless given. */
    id?: string
    /** What it is about. */
    subject: string
    /** What orders it (`partitionkey`). Defaults to the subject. */
    key?: string
    version?: number
    traceparent?: string
    data: EventData<N, E>
  }
}[EventTypeOf<N>]

interface Signed {
  id: string
  key: string
  bytes: Uint8Array
}

export interface Published {
  id: string
  position: Position
  /** On a topic that the projection follows: whether the event counts. On other topics: `counts`, once durable. */
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
  /** Called when the bus will never take a numbered event. That leaves an unexplained gap, so the process must stop. */
  onFatal: (error: unknown) => void
  /** Why this instance may publish nothing but its heads now, while another acts. */
  standby?: () => string | undefined
  /** How long a caller waits for its event to become durable. Defaults to the bus's own time, or to 30 s if it has none. */
  durableWithinMs?: number
  /** How long to wait until its own event is read back. */
  readBackWithinMs?: number
}

/**
 * Signs, numbers and chains what one service instance publishes, and reads it back to see whether it counts (DESIGN §4, §5). A numbered
 * event stays in hand until it is durable, however long the bus is away (decision 49).
 */
export class Producer {
  readonly source: string
  readonly #options: ProducerOptions & { durableWithinMs: number; readBackWithinMs: number }
  readonly #inHand = new InHand()
  readonly #closing = new AbortController()
  #hasFinished = false
  #heads = 0
  #sequence = 0
  #previous: string | undefined

  constructor(options: ProducerOptions) {
    this.#options = { durableWithinMs: options.bus.durableWithinMs ?? 30_000, readBackWithinMs: 5000, ...options }
    this.source = `/${options.service}/${options.instance}`
    setMaxListeners(0, this.#closing.signal) // each publish under way listens
  }

  /** The end of its own chain, in the form that a head names it. */
  get end(): { sequence: number; hash: string } {
    return { sequence: this.#sequence, hash: this.#previous ?? this.#predecessor() }
  }

  /** The numbered events that wait for the bus; undefined when there are none. */
  get waiting(): Waiting | undefined {
    return this.#inHand.waiting
  }

  /**
   * The service's newest event. An instance that has just stopped standing by succeeds the last active one, and must link to its last
   * event.
   */
  #predecessor(): string {
    const last = this.#options.projection.ledger.chains.newestOf(this.#options.service)
    return last ? `${last.source}#${formatSequence(last.sequence)}:${last.hash}` : 'none'
  }

  /**
   * Resolves when all drafts are durable and, on a followed topic, read back. Rejects before anything was numbered with
   * `event_too_large`, with `service_standby` while another instance acts, with `service_unready` once this process stops, and with
   * `bus_unavailable` while earlier events have waited for the bus for too long. Rejects with `outcome_unknown` when the caller has waited long enough: a numbered event stays in hand and is
   * published once the bus is back. Rejects with `deadline_exceeded` when the drafts are durable but not read back in time: then it is
   * unknown whether they count.
   */
  async publish<N extends TopicName>(topic: N, drafts: readonly Draft<N>[]): Promise<Published[]> {
    const { projection, standby } = this.#options
    const standsBy = topic === 'heads.v1' ? undefined : standby?.()
    if (standsBy !== undefined) throw new ServiceError('service_standby', standsBy)
    if (this.#hasFinished && topic !== 'heads.v1') throw new ServiceError('service_unready', 'this process stops')
    const isNumbered = topicNamed(topic)?.leaf === true
    if (isNumbered) this.#assertTaken()
    const { durableWithinMs, readBackWithinMs } = this.#deadlines(topic)
    const events = this.#sign(topic, drafts)
    const verdicts = projection.follows(topic)
      ? events.map((event) => projection.verdictOn(topic, event, durableWithinMs + readBackWithinMs))
      : events.map((): Promise<Verdict> => Promise.resolve('counts'))
    const all = Promise.all(verdicts)
    all.catch(() => undefined) // awaited below, unless publishing itself fails first
    const positions = isNumbered
      ? await inTime(this.#keep(topic, events, all), durableWithinMs)
      : await this.#offer(topic, events, { deadlineMs: durableWithinMs, isLast: drafts.some(isLastHead) })
    const settled = await all
    return events.map(({ id }, n) => ({ id, position: positions[n] as Position, verdict: settled[n] as Verdict }))
  }

  /** Refuses a further event while others wait too long: it would only join the queue, and would rest on a state that lacks them. */
  #assertTaken(): void {
    const { waiting } = this.#inHand
    if (waiting === undefined) return
    const ms = this.#options.time.monotonic() - waiting.since
    if (ms < awayAfterMs) return
    throw new ServiceError(
      'bus_unavailable',
      `${waiting.events} numbered events have waited for the bus for ${Math.floor(ms / 1000)} s`,
    )
  }

  /** Keeps numbered events in hand until they are durable and, on a followed topic, the projection has read as far as their positions. */
  #keep(topic: TopicName, events: readonly Signed[], verdicts: Promise<unknown>): Promise<Position[]> {
    const { projection, time } = this.#options
    const settled = this.#inHand.take(events.length, time.monotonic())
    const durable = this.#untilDurable(topic, events)
    const readBack = async () => {
      const positions = await durable
      if (!projection.follows(topic)) return
      // Most get their verdict. An event that was not read back in time, or is refused here, must at least be read past.
      await verdicts.catch(() => Promise.all(positions.map((position) => projection.waitFor(position, longestMs))))
    }
    readBack()
      .catch(() => undefined) // reported below, or the process ends
      .finally(settled)
    return durable
  }

  /** Rejects only when the bus can never take them, or this process stops. */
  async #untilDurable(topic: TopicName, events: readonly Signed[]): Promise<Position[]> {
    const { bus, onFatal } = this.#options
    const { signal } = this.#closing
    for (;;) {
      try {
        return await publishUntilDurable(bus, topic, events, { wait, signal })
      } catch (error) {
        if (signal.aborted) throw error
        if (errorCode(error) !== 'bus_unavailable') {
          onFatal(error)
          throw error
        }
        await wait(refusedAgainMs, signal)
      }
    }
  }

  /**
   * An event without a number leaves no gap, so a late one is given up. Its caller retries, and readers that miss it are stale meanwhile.
   */
  async #offer(
    topic: TopicName,
    events: readonly Signed[],
    { deadlineMs, isLast }: { deadlineMs: number; isLast: boolean },
  ): Promise<Position[]> {
    const { bus } = this.#options
    if (topic !== 'heads.v1') return await publishUntilDurable(bus, topic, events, { deadlineMs, wait })
    if (this.#heads >= mostHeads && !isLast)
      throw new ServiceError('bus_unavailable', 'the bus has not answered earlier heads')
    const publish: Bus['publish'] = (name, heads) => {
      this.#heads++
      return bus.publish(name, heads).finally(() => this.#heads--)
    }
    return await publishUntilDurable({ publish }, topic, events, { deadlineMs, wait })
  }

  /**
   * Call it before the last head, which names the end of the chain: from now on nothing but heads is published. Resolves once the events in
   * hand are durable and read back, or after `ms`: a bus that is away holds up no stop.
   */
  async finish(ms: number): Promise<void> {
    this.#hasFinished = true
    await inTime(this.#inHand.settled(), ms).catch(() => undefined)
  }

  /** For the stop of the process: events in hand are no longer retried, and their callers get `outcome_unknown`. */
  [Symbol.dispose](): void {
    this.#closing.abort()
  }

  /** Every reader ignores an old head, because a newer one exists by then. At a stop no caller waits for a head. */
  #deadlines(topic: TopicName): { durableWithinMs: number; readBackWithinMs: number } {
    const { durableWithinMs, readBackWithinMs } = this.#options
    const most = topic === 'heads.v1' ? maxHeadSkewMs : Number.POSITIVE_INFINITY
    return { durableWithinMs: Math.min(durableWithinMs, most), readBackWithinMs: Math.min(readBackWithinMs, most) }
  }

  /** Publishes one draft. Resolves only if it counts, else throws `state_contended`. */
  async publishOne<N extends TopicName>(topic: N, draft: Draft<N>): Promise<Published> {
    const [published] = await this.publish(topic, [draft])
    if (published?.verdict !== 'counts') throw new ServiceError('state_contended', `${draft.type} is void`)
    return published
  }

  /** Synchronous, so that numbers follow the order of calls. Nothing is numbered unless all drafts can be signed. */
  #sign<N extends TopicName>(topic: N, drafts: readonly Draft<N>[]): Signed[] {
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

/** The last head hands over to a standby, so it is published however late it is. */
const isLastHead = ({ type, data }: { type: string; data: unknown }): boolean =>
  type === 'head.published' && (data as EventData<'heads.v1', 'head.published'>).stopping

/** Resolves as `durable` does, or rejects with `outcome_unknown` after `ms`. */
async function inTime<T>(durable: Promise<T>, ms: number): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new ServiceError('outcome_unknown', 'not acknowledged in time')), ms)
  return await Promise.race([durable, late.promise]).finally(() => clearTimeout(timer))
}
