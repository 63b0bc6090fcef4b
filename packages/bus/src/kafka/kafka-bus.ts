import { ServiceError } from '@bailiwick/errors'
import type { Bus, FollowSubscription, Handled, Message, Outgoing, Position, Since, Subscription } from '../bus.ts'
import { checkOutgoing } from '../limits.ts'
import { kafkaClient } from './client.ts'
import { clusterLink, type Link } from './cluster-link.ts'
import type { BusLogger, KafkaConnection } from './connection.ts'
import { failureOf, reasonOf } from './failure.ts'
import { Follower } from './follower.ts'
import { GroupMember } from './group-member.ts'
import { Lane } from './lane.ts'
import { type Noise, noise } from './noise.ts'
import { Pause } from './pause.ts'
import { openSender } from './sender.ts'
import { TopicWriter } from './topic-writer.ts'
import { within } from './within.ts'

/** How long an orderly end waits for handlers in flight, ms. Messages not handled by then are delivered again. */
const HANDLERS_MS = 10_000
/** … for unacknowledged events. After that their outcome is unknown. */
const DRAIN_MS = 10_000
/** … for connections to close: one request and one poll (KAFKA.md rule 16). */
const DISCONNECT_MS = 6000
/** How long `ends` is repeated: its callers can work without the answer. All other questions wait for the cluster. */
const ENDS_MS = 30_000
/** How long a question may go unanswered before `late` reports it. A change of leader takes some hundred ms. */
const LATE_MS = 3000
/** How long an unknown topic is tolerated: not every broker knows a topic that was just created. */
const UNKNOWN_TOPIC_MS = 5000

export interface KafkaBusOptions {
  connection: KafkaConnection
  logger: BusLogger
  /** Called when `unhealthy` gets a new reason. The reason was logged already. */
  onUnhealthy?: (reason: string) => void
  /** How long one batch is repeated before its outcome is reported as unknown, ms. Default: until the broker is back. */
  giveUpMs?: number
  /** How long one producer may fail with a batch before another one repeats it, ms. */
  patienceMs?: number
}

export interface KafkaBus extends Bus {
  /** What the bus waits for; undefined if it waits for nothing. It resumes by itself. */
  late(): string | undefined
  /** Why this process must be restarted or its rights corrected, for a health check (KAFKA.md rule 12); otherwise undefined. */
  unhealthy(): string | undefined
}

/**
 * A bus on Kafka. Connects on first use. `publish`, `consume` and `follow` wait for an unavailable broker, however long (decision
 * 49). `bus_unavailable` means that this user may not read or write the topic (KAFKA.md rule 10), or, from `ends`, that no broker answered
 * within half a minute. `config_invalid` means that the topic does not exist.
 */
export async function kafkaBus(options: KafkaBusOptions): Promise<KafkaBus> {
  return new Adapter(options)
}

class Adapter implements KafkaBus {
  readonly #connection: KafkaConnection
  readonly #logger: BusLogger
  readonly #noise: Noise
  readonly #giveUpMs: number | undefined
  readonly #patienceMs: number | undefined
  readonly #onUnhealthy: (reason: string) => void
  readonly #topics = new Map<string, TopicWriter>()
  readonly #members = new Set<GroupMember>()
  readonly #followers = new Set<Follower>()
  readonly #releasing = new Set<Promise<void>>()
  readonly #reasons = new Map<string, string>()
  readonly #late = new Map<string, { reason: string; isTold: boolean; timer: NodeJS.Timeout }>()
  #control: Link | undefined
  #turn = 0
  #closing: Promise<void> | undefined
  #closed = false

  constructor({ connection, logger, onUnhealthy, giveUpMs, patienceMs }: KafkaBusOptions) {
    this.#connection = connection
    this.#logger = logger
    this.#noise = noise(logger)
    this.#onUnhealthy = onUnhealthy ?? (() => {})
    this.#giveUpMs = giveUpMs
    this.#patienceMs = patienceMs
  }

  unhealthy(): string | undefined {
    return spelled(this.#reasons)
  }

  late(): string | undefined {
    const told = [...this.#late].filter(([, { isTold }]) => isTold)
    return spelled(new Map(told.map(([place, { reason }]) => [place, reason])))
  }

  async publish(name: string, events: readonly Outgoing[]): Promise<Position[]> {
    // Up to the writer's promise nothing here may await: earlier calls must be queued before later ones.
    if (this.#closed) throw closed()
    checkOutgoing(events)
    return await this.#writer(name).publish(events)
  }

  async consume(
    topics: readonly string[],
    group: string,
    handler: (batch: readonly Message[]) => Promise<readonly Handled[]>,
  ): Promise<Subscription> {
    if (this.#closing) throw closed()
    const distinct = [...new Set(topics)]
    await this.#exist(distinct)
    for (const pause = new Pause(); ; await pause.wait()) {
      if (this.#closing) throw closed()
      const onTrouble = (reason: string | undefined) => this.#setReason(`group ${group}`, reason)
      const onLate = (reason: string | undefined) => this.#setLate(`group ${group}`, reason)
      const member = new GroupMember({ kafka: this.#client(), topics: distinct, group, handler, onTrouble, onLate })
      try {
        await member.start()
        this.#members.add(member)
        member.ended.then(() => this.#members.delete(member))
        return member
      } catch (error) {
        void member[Symbol.asyncDispose]()
        if (failureOf(error) === 'forbidden') {
          throw new ServiceError('bus_unavailable', reasonOf(error), { cause: error })
        }
        this.#say('consume', reasonOf(error))
      }
    }
  }

  async follow(
    topics: readonly string[],
    since: Since,
    handler: (batch: readonly Message[]) => Promise<void>,
  ): Promise<FollowSubscription> {
    if (this.#closing) throw closed()
    const distinct = [...new Set(topics)]
    await this.#exist(distinct)
    if (this.#closing) throw closed()
    const follower = new Follower({
      topics: distinct,
      since,
      handler,
      openLink: () => this.#openLink(),
      onTrouble: (reason) => this.#say('follow', reason),
      onForbidden: (reason) => this.#setReason(`reading ${distinct.join(', ')}`, reason),
    })
    this.#followers.add(follower)
    this.#release(follower.released().finally(() => this.#followers.delete(follower)))
    try {
      await follower.started
    } catch (error) {
      follower.failed.catch(() => {}) // this call reports the error
      await follower[Symbol.asyncDispose]()
      throw error
    }
    return follower
  }

  async ends(topic: string): Promise<number[]> {
    if (this.#closed) throw closed()
    const ask = async (link: Link) => link.offsets(await link.leaders([topic]), 'latest')
    const ends = await this.#ask(ask, topic, AbortSignal.timeout(ENDS_MS))
    return ends.map((end) => end ?? 0)
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    // Consumers end first, while everything that their handlers may wait for still runs: a handler may publish, and follow its own event.
    const handlers = async () => {
      await Promise.all([...this.#members].map((member) => member[Symbol.asyncDispose]()))
      await Promise.all([...this.#followers].map((follower) => follower[Symbol.asyncDispose]()))
    }
    await within(HANDLERS_MS, handlers())
    this.#closed = true
    const writers = [...this.#topics.values()]
    const lanes = () => writers.flatMap((writer) => writer.lanes)
    const settled = () => Promise.all(writers.map((writer) => writer.settled())).then(() => {})
    if (!(await within(DRAIN_MS, settled()))) for (const lane of lanes()) lane.giveUp()
    const connections = async () => {
      await Promise.all([...lanes().map((lane) => lane.close()), ...this.#releasing, this.#control?.close()])
    }
    await within(DISCONNECT_MS, connections())
    this.#noise[Symbol.dispose]()
  }

  #writer(topic: string): TopicWriter {
    let writer = this.#topics.get(topic)
    if (writer === undefined) {
      const partitions = () => this.#ask(async (link) => (await link.leaders([topic])).length, topic)
      writer = new TopicWriter({ topic, partitions, lane: (partition) => this.#lane(topic, partition) })
      this.#topics.set(topic, writer)
    }
    return writer
  }

  #lane(topic: string, partition: number): Lane {
    const place = `${topic}/${partition}`
    return new Lane({
      openSender: () => openSender(this.#client(), topic, partition),
      ...(this.#giveUpMs === undefined ? {} : { giveUpMs: this.#giveUpMs }),
      ...(this.#patienceMs === undefined ? {} : { patienceMs: this.#patienceMs }),
      onStuck: (reason) => this.#say('lane', `${place}: another producer takes over: ${reason}`),
      onTrouble: (reason) => this.#setReason(place, reason),
    })
  }

  /** Proves that the topics exist and may be seen (KAFKA.md rule 10). */
  async #exist(topics: readonly string[]): Promise<void> {
    for (const topic of topics) await this.#ask((link) => link.leaders([topic]), topic)
  }

  /** Repeats a question with another link, and so another broker, until it is answered, refused for good, or late. */
  async #ask<T>(question: (link: Link) => Promise<T>, topic: string, late?: AbortSignal): Promise<T> {
    let lateForTopic: AbortSignal | undefined
    for (const pause = new Pause(); ; await pause.wait()) {
      if (this.#closed) throw closed()
      this.#control ??= this.#openLink()
      const link = this.#control
      try {
        const answer = await question(link)
        this.#setLate(topic, undefined)
        return answer
      } catch (error) {
        if (this.#control === link) this.#control = undefined
        this.#release(link.close().catch(() => {}))
        const failure = failureOf(error)
        this.#setLate(topic, failure === 'transient' ? reasonOf(error) : undefined)
        if (failure === 'forbidden') {
          throw new ServiceError('bus_unavailable', `${topic}: ${reasonOf(error)}`, { cause: error })
        }
        // Counted from a broker's first answer that the topic is unknown. Until a broker answers, the topic may exist.
        if (failure === 'unknown_topic') lateForTopic ??= AbortSignal.timeout(UNKNOWN_TOPIC_MS)
        if (failure === 'unknown_topic' && lateForTopic?.aborted) {
          throw new ServiceError('config_invalid', `there is no topic ${topic}`)
        }
        if (late?.aborted) throw new ServiceError('bus_unavailable', reasonOf(error), { cause: error })
        this.#say('ask', reasonOf(error))
      }
    }
  }

  /** Adds connections that the end of the bus waits for, for a limited time. */
  #release(connections: Promise<void>): void {
    const released = connections.finally(() => this.#releasing.delete(released))
    this.#releasing.add(released)
  }

  #client() {
    this.#turn += 1
    return kafkaClient(this.#connection, this.#noise, this.#turn)
  }

  #openLink(): Link {
    return clusterLink(this.#client(), this.#connection, this.#turn)
  }

  #say(namespace: string, message: string): void {
    this.#noise({ namespace, level: 2, label: 'WARN', log: { timestamp: '', message } })
  }

  #setLate(place: string, reason: string | undefined): void {
    const known = this.#late.get(place)
    if (reason === undefined) {
      clearTimeout(known?.timer)
      this.#late.delete(place)
    } else if (known) known.reason = reason
    else {
      const timer = setTimeout(() => Object.assign(late, { isTold: true }), LATE_MS).unref()
      const late = { reason, isTold: false, timer }
      this.#late.set(place, late)
    }
  }

  #setReason(place: string, reason: string | undefined): void {
    if (reason === undefined) {
      this.#reasons.delete(place)
    } else if (this.#reasons.get(place) !== reason) {
      this.#reasons.set(place, reason)
      this.#logger.error({ kafka: place, error: reason }, 'Kafka refuses, and waiting does not help')
      this.#onUnhealthy(`${place}: ${reason}`)
    }
  }
}

function spelled(reasons: ReadonlyMap<string, string>): string | undefined {
  if (reasons.size === 0) return undefined
  return [...reasons].map(([place, reason]) => `${place}: ${reason}`).join('; ')
}

function closed(): ServiceError {
  return new ServiceError('bus_unavailable', 'the bus is closed')
}
