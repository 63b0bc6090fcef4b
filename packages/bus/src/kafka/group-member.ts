import { Buffer } from 'node:buffer'
import kafkajs, { type Consumer, type EachBatchPayload, type Kafka } from 'kafkajs'
import type { Handled, Message, Subscription } from '../bus.ts'
import { settings } from './client.ts'
import { failureOf, reasonOf } from './failure.ts'
import { Pause } from './pause.ts'
import { within } from './within.ts'

type Handler = (batch: readonly Message[]) => Promise<readonly Handled[]>

/** KAFKA.md rule 15. */
const SESSION_MS = 6000
const HEARTBEAT_MS = 500
const MAX_WAIT_MS = 300
/** When members join or leave, how long the others wait for one of our handlers to end. */
const REBALANCE_MS = 30_000
/** A call of the handler gets at most this many messages. */
const BATCH_MESSAGES = 256
/** Partitions that are handled at the same time. */
const CONCURRENCY = 16
/** The most bytes of one broker's answer. A member therefore holds at most this much per broker. */
const MAX_BYTES = 1 << 20
const MAX_PARTITION_BYTES = 512 << 10
/** An end waits for one request and one poll (KAFKA.md rule 16). */
const DISCONNECT_MS = settings.requestTimeout + MAX_WAIT_MS

const FIRST_BACKOFF_MS = 50
const LONGEST_BACKOFF_MS = 5000
/** How often kafkajs may give up in a row before `onTrouble` hears of it. */
const PATIENCE = 5
/** setTimeout treats a longer time as 1 ms. */
const LONGEST_PAUSE_MS = 2 ** 31 - 1

export interface GroupMemberOptions {
  kafka: Kafka
  topics: readonly string[]
  group: string
  handler: Handler
  /**
   * Called with the reason when messages have stopped and waiting does not help (KAFKA.md rule 12), and with undefined once they come
   * again.
   */
  onTrouble: (reason: string | undefined) => void
  /** Called with the reason while messages have stopped and the member retries, and with undefined once they come again. */
  onLate: (reason: string | undefined) => void
}

interface Pausing {
  timer: NodeJS.Timeout
  resume: () => void
}

/**
 * One member of a consumer group (KAFKA.md rules 11, 12, 15, 16). kafkajs assigns the partitions and fetches. This class adds
 * what the port requires: an answer for each message, a commit once they are handled, and a partition that waits for its `again`.
 * When members join or leave, kafkajs waits for all handlers of this one before it gives a partition away. A handler that then takes
 * longer than half a minute may see its partition handled elsewhere at the same time: Kafka cannot wait longer.
 */
export class GroupMember implements Subscription {
  readonly refused = new Map<string, number>()
  readonly #options: GroupMemberOptions
  readonly #consumer: Consumer
  readonly #calls = new Set<Promise<unknown>>()
  readonly #pausing = new Map<string, Pausing>()
  readonly #failures = new Map<string, number>()
  readonly #ended = Promise.withResolvers<void>()
  readonly #wait = new Pause()
  #gaveUp = 0
  #isConnected = false
  #ending: Promise<void> | undefined

  constructor(options: GroupMemberOptions) {
    this.#options = options
    this.#consumer = options.kafka.consumer({
      groupId: options.group,
      sessionTimeout: SESSION_MS,
      rebalanceTimeout: REBALANCE_MS,
      heartbeatInterval: HEARTBEAT_MS,
      maxWaitTimeInMs: MAX_WAIT_MS,
      minBytes: 1,
      maxBytes: MAX_BYTES,
      maxBytesPerPartition: MAX_PARTITION_BYTES,
      metadataMaxAge: settings.metadataMaxAge,
      // kafkajs asks this before each restart. Without it, a consumer that has ended would restart for as long as no broker answers.
      retry: { ...settings.sendRetry, restartOnFailure: async () => this.#ending === undefined },
      allowAutoTopicCreation: false, // rule 18
      readUncommitted: true, // otherwise a client that holds a transaction open delays the group; we write no transactions
    })
    const { CRASH, GROUP_JOIN } = this.#consumer.events
    this.#consumer.on(CRASH, ({ payload: { error, restart } }) => {
      if (!restart) void this.#startAgain(error)
    })
    this.#consumer.on(GROUP_JOIN, () => {
      this.#gaveUp = 0
      this.#wait.reset()
      options.onTrouble(undefined)
      options.onLate(undefined)
      // kafkajs may have been about to restart when it was asked to end; it then joins all the same.
      if (this.#ending !== undefined) void this.#consumer.disconnect().catch(() => {})
    })
  }

  /** Resolves when it was disposed of. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  /** Resolves once it has joined, or is about to. After a rejection it cannot be used again. */
  async start(): Promise<void> {
    this.#isConnected = false
    try {
      await this.#consumer.connect()
      this.#isConnected = true
      await this.#consumer.subscribe({ topics: [...this.#options.topics], fromBeginning: true })
      await this.#consumer.run({
        autoCommit: false, // committed below, one partition at a time, after its handler
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: CONCURRENCY,
        eachBatch: (payload) => this.#eachBatch(payload),
      })
    } catch (error) {
      void this.#consumer.disconnect().catch(() => {})
      throw error
    }
  }

  /**
   * kafkajs gives up on some temporary errors, such as not finding a coordinator while a broker comes back. It reports a missing right to
   * the group with the same error.
   */
  async #startAgain(error: unknown): Promise<void> {
    if (this.#ending !== undefined) return
    const failure = failureOf(error)
    // If it cannot connect to a broker, that broker is away. A lasting failure on a connected broker is reported like a missing right.
    const lost = failure === 'forbidden' || failure === 'broken'
    if (!lost && !this.#isConnected) this.#options.onLate(reasonOf(error))
    else if (lost || ++this.#gaveUp >= PATIENCE) this.#options.onTrouble(reasonOf(error))
    if (failure === 'broken') return
    await this.#wait.wait()
    if (this.#ending === undefined) await this.start().catch((again) => this.#startAgain(again))
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#ending ??= this.#end()
    return this.#ending
  }

  async #end(): Promise<void> {
    for (const { timer } of this.#pausing.values()) clearTimeout(timer)
    const disconnecting = this.#consumer.disconnect().catch(() => {})
    await Promise.allSettled(this.#calls)
    await within(DISCONNECT_MS, disconnecting)
    this.#ended.resolve()
  }

  async #eachBatch(payload: EachBatchPayload): Promise<void> {
    const { batch, isRunning, isStale, pause } = payload
    const place = `${batch.topic}/${batch.partition}`
    const pausing = this.#pausing.get(place)
    if (pausing !== undefined) {
      // kafkajs restarted the consumer, and so forgot which partitions were paused.
      pausing.resume = pause()
      return
    }
    const messages = batch.messages.map(({ offset, key, value, timestamp }): Message => {
      // Copied: keeping one message must not keep the whole answer in memory.
      const bytes = Buffer.from(value ?? [])
      const { topic, partition } = batch
      return {
        topic,
        partition,
        offset: Number(offset),
        key: key?.toString() ?? '',
        bytes,
        timestamp: Number(timestamp),
      }
    })
    for (let at = 0; at < messages.length; at += BATCH_MESSAGES) {
      if (this.#ending !== undefined || !isRunning() || isStale()) return // rule 11
      const call = this.#handle(payload, place, messages.slice(at, at + BATCH_MESSAGES))
      this.#calls.add(call)
      try {
        if (!(await call)) return
      } finally {
        this.#calls.delete(call)
      }
    }
  }

  /** Resolves with whether the partition goes on at once. Rejects, after committing, if the member must join again. */
  async #handle(payload: EachBatchPayload, place: string, batch: readonly Message[]): Promise<boolean> {
    const alive = keepAlive(payload.heartbeat)
    const answers = await answersOf(this.#options.handler, batch)
    const stop = answers?.findIndex((answer) => typeof answer === 'object') ?? 0
    const handled = stop < 0 ? batch.length : stop
    const again = answers?.[handled]
    const failures = answers === undefined ? (this.#failures.get(place) ?? 0) + 1 : 0
    this.#failures.set(place, failures)
    if (typeof again === 'object') this.#pause(payload, place, again.again)
    if (failures > 0) this.#pause(payload, place, Math.min(FIRST_BACKOFF_MS * 2 ** (failures - 1), LONGEST_BACKOFF_MS))
    try {
      await this.#commit(payload, batch.slice(0, handled), answers)
    } finally {
      alive.end()
    }
    if (alive.error !== undefined) throw asRejoin(alive.error) // the group changes: kafkajs joins it again
    return handled === batch.length
  }

  async #commit(payload: EachBatchPayload, handled: readonly Message[], answers?: readonly Handled[]): Promise<void> {
    const last = handled.at(-1)
    if (last === undefined) return
    const { topic, partition, offset } = last
    payload.resolveOffset(String(offset))
    // A commit names the next offset to read. The next commit makes up for a failed one, or else its messages are delivered again.
    const offsets = { topics: [{ topic, partitions: [{ partition, offset: String(offset + 1) }] }] }
    try {
      await payload.commitOffsetsIfNecessary(offsets)
    } catch (error) {
      throw asRejoin(error)
    }
    for (const n of handled.keys()) {
      if (answers?.[n] === 'refused') this.refused.set(topic, (this.refused.get(topic) ?? 0) + 1)
    }
  }

  #pause({ pause }: EachBatchPayload, place: string, ms: number): void {
    if (this.#ending !== undefined) return
    const resume = () => {
      const { resume: go } = this.#pausing.get(place) ?? {}
      this.#pausing.delete(place)
      go?.()
    }
    const timer = setTimeout(resume, Math.min(Math.max(ms, 0), LONGEST_PAUSE_MS))
    this.#pausing.set(place, { timer, resume: pause() })
  }
}

/**
 * Makes kafkajs join the group again: only then does it look for the group's coordinator. Otherwise it asks the coordinator that it
 * knows until that one is back. Nothing would be committed meanwhile, and all messages would be delivered once more.
 */
class CoordinatorLost extends kafkajs.KafkaJSError {
  readonly type = 'NOT_COORDINATOR_FOR_GROUP'
}

/** An error that makes kafkajs join again, unless the broker itself said what is wrong. */
function asRejoin(error: unknown): unknown {
  const told = typeof error === 'object' && error !== null && 'type' in error && typeof error.type === 'string'
  return told || failureOf(error) !== 'transient' ? error : new CoordinatorLost(reasonOf(error), { retriable: true })
}

/** Keeps the membership while a handler works (rule 11), and remembers any error of doing so. */
function keepAlive(heartbeat: () => Promise<void>): { readonly error: unknown; end(): void } {
  let error: unknown
  const timer = setInterval(() => {
    heartbeat().catch((thrown: unknown) => {
      error ??= thrown // goes on: the coordinator must see that this member lives until the handler ends
    })
  }, HEARTBEAT_MS)
  return {
    get error() {
      return error
    },
    end: () => clearInterval(timer),
  }
}

/** undefined if the handler threw or did not answer for exactly the messages that it got. */
async function answersOf(handler: Handler, batch: readonly Message[]): Promise<readonly Handled[] | undefined> {
  try {
    const answers = await handler(batch)
    return answers.length === batch.length ? answers : undefined
  } catch {
    return undefined
  }
}
