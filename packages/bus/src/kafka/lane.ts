import type { Buffer } from 'node:buffer'
import { ServiceError } from '@bailiwick/errors'
import { type Failure, failureOf, reasonOf } from './failure.ts'
import { Pause } from './pause.ts'

/** KAFKA.md rule 5. A single event is far smaller than both limits. */
const BATCH_MESSAGES = 500
const BATCH_BYTES = 512 << 10
/** The bytes that Kafka adds to a record, estimated generously. */
const RECORD_OVERHEAD_BYTES = 64

/** One event on its way to one partition. Exactly one of the two callbacks is called, once. */
export interface Parcel {
  readonly key: Buffer
  readonly value: Buffer
  acknowledged(offset: number): void
  failed(error: ServiceError): void
  /** Its call was rejected because of another of its events, so it need no longer be sent. */
  readonly abandoned: boolean
}

/** One idempotent producer, for one lane. */
export interface Sender {
  /** Resolves with the offset of the first event once the answer names the partition without an error (KAFKA.md rule 2). */
  send(batch: readonly Parcel[]): Promise<number>
  /** It begins no further attempt from now on. An attempt already at the broker cannot be stopped. */
  discard(): void
  /** An orderly end, with no attempt in progress. */
  close(): Promise<void>
}

export interface LaneOptions {
  /** Opens a new producer, connected and numbered by the broker. */
  openSender: () => Promise<Sender>
  /** How long one batch is repeated, ms. Default: as long as the lane lives. */
  giveUpMs?: number
  /** How long one producer may fail with a batch before a new one replaces it, ms. */
  patienceMs?: number
  /** Called for each producer that was thrown away for that reason, with its last answer. */
  onStuck?: (reason: string) => void
  /** The first wait between two tries, ms. Later waits are longer, up to a second. */
  firstPauseMs?: number
  /** Called with the reason when the broker forbids it or an answer makes no sense, and with undefined when it succeeds again. */
  onTrouble: (reason: string | undefined) => void
}

const late = Symbol('late')
const stuck = Symbol('stuck')

/** Longer than one request and the login before it may take, and short enough for a third producer within 30 s. */
const PATIENCE_MS = 10_000

/**
 * The way into one partition (KAFKA.md rule 1): one request in flight, carrying what gathered during the previous one (rule 5).  A rejected
 * batch is repeated unchanged through the same producer until it is acknowledged (rule 3): any other batch could get its sequence number,
 * and the broker would drop that batch as a repeat. If a producer fails with the batch for long, it is thrown away all the same, and a new
 * one repeats the batch: kafkajs may keep a connection that stays silent long after the broker is back. The batch may then be there twice,
 * and readers fold by event id. While the broker is away the lane gives up no batch, because a batch that was given up and published again
 * would come after later ones. With `giveUpMs` a late batch is reported as `outcome_unknown`.  Each lane has a producer of its own. kafkajs
 * lets one producer send to a broker one request at a time, so lanes would wait for each other, and a lane that gives up would destroy the
 * numbering of all others.
 */
export class Lane {
  readonly #options: LaneOptions
  readonly #pause: Pause
  #queue: Parcel[] = []
  #running: Promise<void> | undefined
  #sender: Sender | undefined
  /** The newest offset that this producer got. An acknowledgement at or below it belongs to another batch. */
  #newest = -1
  #troubled = false
  #givenUp = false
  /** Ends the wait for the batch in progress. */
  #expire: (() => void) | undefined

  constructor(options: LaneOptions) {
    this.#options = options
    this.#pause = new Pause(options.firstPauseMs)
  }

  /** Sends these after everything that was added earlier. */
  add(parcels: readonly Parcel[]): void {
    this.#queue.push(...parcels)
    this.#running ??= this.#run()
  }

  /** Resolves when no event waits or is in progress. */
  async idle(): Promise<void> {
    await this.#running
  }

  /** Rejects everything that is not acknowledged at once, with `outcome_unknown`. Nothing may be added afterwards. */
  giveUp(): void {
    this.#givenUp = true
    this.#expire?.()
    this.#pause.end()
    for (const parcel of this.#queue.splice(0))
      parcel.failed(unknownOutcome('the bus ended before it was acknowledged'))
  }

  /** Call this when the lane is idle. */
  async close(): Promise<void> {
    const sender = this.#sender
    this.#sender = undefined
    await sender?.close()
  }

  async #run(): Promise<void> {
    await undefined // calls made at the same moment share the first batch
    while (this.#queue.length > 0) await this.#deliver(this.#take())
    this.#running = undefined
  }

  #take(): Parcel[] {
    let count = 0
    let bytes = 0
    for (const { key, value } of this.#queue) {
      bytes += key.length + value.length + RECORD_OVERHEAD_BYTES
      if (count > 0 && (count >= BATCH_MESSAGES || bytes > BATCH_BYTES)) break
      count += 1
    }
    const taken = this.#queue.splice(0, count)
    for (const parcel of taken) {
      if (parcel.abandoned) parcel.failed(unknownOutcome('another event of the call failed'))
    }
    return taken.filter(({ abandoned }) => !abandoned)
  }

  async #deliver(batch: readonly Parcel[]): Promise<void> {
    if (batch.length === 0) return
    const deadline = Promise.withResolvers<typeof late>()
    this.#expire = () => deadline.resolve(late)
    const ms = this.#givenUp ? 0 : this.#options.giveUpMs
    const timer = ms === undefined ? undefined : setTimeout(this.#expire, ms)
    try {
      await this.#repeat(batch, deadline.promise)
    } finally {
      clearTimeout(timer)
      this.#expire = undefined
    }
  }

  /** Sends the same batch until it is acknowledged, refused for good, or late. */
  async #repeat(batch: readonly Parcel[], deadline: Promise<typeof late>): Promise<void> {
    this.#pause.reset()
    using patience = new Patience(this.#options.patienceMs ?? PATIENCE_MS)
    for (let tried = false, error: unknown; ; ) {
      if (patience.isOver) {
        this.#options.onStuck?.(error === stuck ? 'no answer came' : reasonOf(error))
        this.#discard()
        patience.renew()
      }
      try {
        const end = Promise.race([deadline, patience.over])
        const sender = this.#sender ?? (await this.#open(end))
        if (typeof sender === 'symbol') error = sender
        else {
          tried = true
          const base = await Promise.race([sender.send(batch), end])
          if (typeof base === 'number') return this.#acknowledge(batch, base)
          error = base
        }
      } catch (thrown) {
        error = thrown
      }
      if (error === late) return this.#refuse(batch, unknownOutcome('not acknowledged in time'))
      if (error === stuck) continue
      const failure = failureOf(error)
      if (failure === 'fenced')
        this.#discard() // rule 9: a new producer, the same batch; the batch may then be there twice
      else if (failure === 'too_large') return await this.#tooLarge(batch)
      else if (failure === 'forbidden' || failure === 'broken') return this.#forGood(batch, failure, error, tried)
      if ((await Promise.race([this.#pause.wait(), deadline])) === late) {
        return this.#refuse(batch, unknownOutcome('not acknowledged in time'))
      }
    }
  }

  async #open<End extends symbol>(end: Promise<End>): Promise<Sender | End> {
    const opening = this.#options.openSender()
    const sender = await Promise.race([opening, end])
    if (typeof sender === 'symbol') {
      opening.then(
        (opened) => opened.discard(),
        () => {},
      )
      return sender
    }
    this.#sender = sender
    this.#newest = -1
    return sender
  }

  #acknowledge(batch: readonly Parcel[], base: number): void {
    if (base <= this.#newest) {
      // Repro C of KAFKA.md: the broker took this batch for a repeat of an earlier one, and wrote nothing.
      this.#trouble('an acknowledgement of something else')
      this.#refuse(batch, unknownOutcome('the acknowledgement was of something else'))
      return
    }
    this.#newest = base + batch.length - 1
    this.#trouble(undefined)
    for (const [n, parcel] of batch.entries()) parcel.acknowledged(base + n)
  }

  /** Rule 8: halves the batch until the event that is too large is alone. The broker wrote nothing of it. */
  async #tooLarge(batch: readonly Parcel[]): Promise<void> {
    this.#discard() // kafkajs reuses its sequence numbers; smaller batches with the same numbers must not meet its memory
    const [only] = batch
    if (batch.length === 1 && only !== undefined) {
      return only.failed(new ServiceError('event_too_large', 'the broker takes no event of this size'))
    }
    const half = Math.ceil(batch.length / 2)
    await this.#deliver(batch.slice(0, half))
    await this.#deliver(batch.slice(half).filter(({ abandoned }) => !abandoned))
  }

  #forGood(batch: readonly Parcel[], failure: Failure, error: unknown, tried: boolean): void {
    const reason = `${failure}: ${reasonOf(error)}`
    this.#trouble(reason)
    // After it was sent, kafkajs may have tried more than once, and only the last refusal is known.
    this.#refuse(batch, tried ? unknownOutcome(reason) : new ServiceError('bus_unavailable', reason))
  }

  /** Any failure of a batch ends its producer: no other batch may follow it there (rule 3). */
  #refuse(batch: readonly Parcel[], error: ServiceError): void {
    this.#discard()
    for (const parcel of batch) parcel.failed(error)
  }

  #discard(): void {
    this.#sender?.discard()
    this.#sender = undefined
  }

  #trouble(reason: string | undefined): void {
    if (reason === undefined && !this.#troubled) return
    this.#troubled = reason !== undefined
    this.#options.onTrouble(reason)
  }
}

/** How long one producer is trusted with one batch. */
class Patience implements Disposable {
  readonly #ms: number
  #timer: NodeJS.Timeout | undefined
  isOver = false
  over!: Promise<typeof stuck>

  constructor(ms: number) {
    this.#ms = ms
    this.renew()
  }

  renew(): void {
    const { promise, resolve } = Promise.withResolvers<typeof stuck>()
    this.over = promise
    this.isOver = false
    this.#timer = setTimeout(() => {
      this.isOver = true
      resolve(stuck)
    }, this.#ms)
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
  }
}

function unknownOutcome(detail: string): ServiceError {
  return new ServiceError('outcome_unknown', detail)
}
