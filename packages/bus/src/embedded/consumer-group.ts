import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Handled, Message, Subscription } from '../bus.ts'
import { BATCH_BYTES, BATCH_MESSAGES, type PartitionLog } from './partition-log.ts'
import { Wake } from './wake.ts'

const FIRST_BACKOFF_MS = 50
const LONGEST_BACKOFF_MS = 5000
/** setTimeout treats a longer time as 1 ms. */
const LONGEST_PAUSE_MS = 2 ** 31 - 1

type Handler = (batch: readonly Message[]) => Promise<readonly Handled[]>

/** The committed positions of a group. */
export interface Positions {
  get(log: PartitionLog): number
  /** Resolves once a later process would continue at `offset`. */
  commit(log: PartitionLog, offset: number): Promise<void>
}

interface Member {
  logs: ReadonlySet<PartitionLog>
  handler: Handler
  refused: Map<string, number>
  inFlight: Set<Promise<void>>
}

/**
 * Every partition has one lane, which delivers to the member that currently owns the partition. So members join and leave
 * without a hand-over: there is never a second call for a partition, because there is never a second lane.
 */
export class ConsumerGroup {
  readonly #positions: Positions
  readonly #members: Member[] = []
  readonly #lanes = new Map<PartitionLog, Lane>()

  constructor(positions: Positions) {
    this.#positions = positions
  }

  join(logs: readonly PartitionLog[], handler: Handler): Subscription {
    const member: Member = { logs: new Set(logs), handler, refused: new Map(), inFlight: new Set() }
    this.#members.push(member)
    for (const log of member.logs) this.#lane(log).wake()
    return {
      refused: member.refused,
      [Symbol.asyncDispose]: async () => {
        const index = this.#members.indexOf(member)
        if (index >= 0) this.#members.splice(index, 1)
        for (const log of member.logs) this.#lane(log).wake()
        await Promise.all(member.inFlight)
      },
    }
  }

  /** Ends all lanes. Resolves when the calls in flight are over and the messages they handled are committed. */
  async end(): Promise<void> {
    await Promise.all([...this.#lanes.values()].map((lane) => lane.end()))
  }

  #lane(log: PartitionLog): Lane {
    let lane = this.#lanes.get(log)
    if (lane === undefined) {
      const index = this.#lanes.size
      const owner = (): Member | undefined => {
        const candidates = this.#members.filter((member) => member.logs.has(log))
        return candidates[index % candidates.length]
      }
      lane = new Lane(log, this.#positions, owner)
      this.#lanes.set(log, lane)
    }
    return lane
  }
}

class Lane {
  readonly #log: PartitionLog
  readonly #positions: Positions
  readonly #owner: () => Member | undefined
  readonly #wake = new Wake()
  readonly #loop: Promise<void>
  #offset: number
  #failures = 0
  #pause: NodeJS.Timeout | undefined
  #ended = false

  constructor(log: PartitionLog, positions: Positions, owner: () => Member | undefined) {
    this.#log = log
    this.#positions = positions
    this.#owner = owner
    this.#offset = positions.get(log)
    log.listeners.add(this.wake)
    this.#loop = this.#run()
  }

  readonly wake = (): void => this.#wake.signal()

  async end(): Promise<void> {
    this.#ended = true
    this.#log.listeners.delete(this.wake)
    clearTimeout(this.#pause)
    this.wake()
    await this.#loop
  }

  async #run(): Promise<void> {
    while (!this.#ended) {
      await nextTurn() // as in Follower: a backlog must not block the rest of the process
      const member = this.#ended || this.#pause !== undefined ? undefined : this.#owner()
      const batch = member === undefined ? [] : this.#log.read(this.#offset, BATCH_MESSAGES, BATCH_BYTES)
      if (member !== undefined && batch.length > 0) await this.#deliver(member, batch)
      else if (!this.#ended) await this.#wake.wait()
    }
  }

  async #deliver(member: Member, batch: readonly Message[]): Promise<void> {
    const work = this.#handle(member, batch)
    member.inFlight.add(work)
    await work
    member.inFlight.delete(work)
  }

  async #handle(member: Member, batch: readonly Message[]): Promise<void> {
    const answers = await answersOf(member.handler, batch)
    const stop = answers?.findIndex((answer) => typeof answer === 'object') ?? 0
    const handled = stop < 0 ? batch.length : stop
    const last = batch[handled - 1]
    if (last !== undefined) {
      try {
        await this.#positions.commit(this.#log, last.offset + 1)
      } catch {
        this.#ended = true // the bus is broken, and its publishers get the error; uncommitted messages are delivered again
        return
      }
      this.#offset = last.offset + 1
      for (const [n, { topic }] of batch.slice(0, handled).entries()) {
        if (answers?.[n] === 'refused') member.refused.set(topic, (member.refused.get(topic) ?? 0) + 1)
      }
    }
    const again = answers?.[handled]
    if (typeof again === 'object') this.#resumeAfter(again.again)
    if (answers === undefined) this.#resumeAfter(Math.min(FIRST_BACKOFF_MS * 2 ** this.#failures, LONGEST_BACKOFF_MS))
    this.#failures = answers === undefined ? this.#failures + 1 : 0
  }

  #resumeAfter(ms: number): void {
    if (this.#ended) return
    this.#pause = setTimeout(
      () => {
        this.#pause = undefined
        this.wake()
      },
      Math.min(Math.max(ms, 0), LONGEST_PAUSE_MS),
    )
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
