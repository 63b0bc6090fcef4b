import { Buffer } from 'node:buffer'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect } from 'vitest'
import type { Bus, Handled, Message, Outgoing, Position } from '../bus.ts'
import type { CrashWork } from './crash-work.ts'

export interface TopicSpec {
  name: string
  partitions: number
}

/** A real bus with its storage, for one test. Disposing of it closes the bus and removes everything the test made. */
export interface BusUnderTest extends AsyncDisposable {
  /** The open bus; after `reopen`, the new one. */
  readonly bus: Bus
  /** Closes the bus in an orderly way if it is open, and opens it again over the same storage. */
  reopen(): Promise<Bus>
  /**
   * Closes the bus here, lets a separate process do the work over the same storage (`doCrashWork`), sends it SIGKILL as soon as
   * it has reported `lines` lines, and returns what it reported (`killAfterLines`).
   */
  killed(work: CrashWork, lines: number): Promise<unknown[]>
}

/** Opens a bus with these topics, empty. */
export type OpenBus = (topics: readonly TopicSpec[]) => Promise<BusUnderTest>

const DEADLINE_MS = 60_000
export const TEST = { timeout: 180_000 }

/** Opens a bus with one topic whose name was never used. */
export async function withTopic(open: OpenBus, partitions = 3): Promise<BusUnderTest & { topic: string }> {
  const topic = freshName()
  const under = await open([{ name: topic, partitions }])
  return {
    topic,
    get bus() {
      return under.bus
    },
    reopen: () => under.reopen(),
    killed: (work, lines) => under.killed(work, lines),
    [Symbol.asyncDispose]: () => under[Symbol.asyncDispose](),
  }
}

export function freshName(): string {
  return `contract-${randomUUID()}`
}

export function event(key: string, body: string): Outgoing {
  return { key, bytes: Buffer.from(body) }
}

export function numbered(count: number, from = 0): Outgoing[] {
  return Array.from({ length: count }, (_, n) => event(`key-${from + n}`, `text-${from + n}`))
}

export function text({ bytes }: { bytes: Uint8Array }): string {
  return Buffer.from(bytes).toString()
}

export function place({ topic, partition, offset }: Position): string {
  return `${topic}/${partition}/${offset}`
}

export function distinct(messages: readonly Message[]): number {
  return new Set(messages.map(place)).size
}

export function inOrder(messages: readonly Message[]): boolean {
  const next = new Map<number, number>()
  return messages.every(({ partition, offset }) => {
    const expected = next.get(partition) ?? 0
    next.set(partition, offset + 1)
    return offset === expected
  })
}

/** All messages of a topic that must hold exactly `count` messages by now. */
export async function readAll(bus: Bus, topic: string, count: number): Promise<Message[]> {
  const read = await readToEnd(bus, topic)
  expect(read).toHaveLength(count)
  return read
}

export async function readToEnd(bus: Bus, topic: string): Promise<Message[]> {
  const read: Message[] = []
  await using follower = await bus.follow([topic], 'start', async (batch) => void read.push(...batch))
  await follower.caughtUp
  return read
}

/** The messages that a member gets until it has `count` different ones. All are answered with done and committed. */
export async function consumeAll(bus: Bus, topic: string, group: string, count: number): Promise<Message[]> {
  const read: Message[] = []
  await using _ = await bus.consume([topic], group, async (batch) => {
    read.push(...batch)
    return batch.map((): Handled => 'done')
  })
  await until(() => distinct(read) >= count)
  return read
}

export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const give = AbortSignal.timeout(DEADLINE_MS)
  while (!(await condition())) {
    if (give.aborted) throw new Error(`not within ${DEADLINE_MS} ms: ${condition}`)
    await sleep(5)
  }
}

/**
 * Bytes that this process still holds after a collection. The collector frees buffers asynchronously, so poll until the number is
 * small enough; a leak never becomes small. Not the resident size, which includes memory-mapped files.
 */
export function heldMemory(): number {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  collect()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
