import { Buffer } from 'node:buffer'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Bus, Message, Position } from '../bus.ts'
import { publishUntilDurable } from '../retrying.ts'

export interface LoadOptions {
  keys?: number
  perSecond?: number
}

/** The work of a load, and its result. */
export interface Audit {
  published: number
  /** Texts read more than once. Only events repeated after an unknown outcome may be duplicated. */
  duplicated: number
  /** The longest time without an acknowledgement, ms. */
  worstGapMs: number
}

/**
 * Publishes on many keys as long as it runs, each event until it is durable, as services do, and follows the topic at the same time.
 * Its audit compares the acknowledged events with those that two followers see, the old one and a fresh one.
 */
export class Load {
  readonly #bus: Bus
  readonly #topic: string
  readonly #now: () => number
  readonly #followed: Message[] = []
  readonly #acknowledged: { text: string; position: Position }[] = []
  readonly #publishing = new Set<Promise<void>>()
  #running = true
  #loop: Promise<void> | undefined
  #published = 0
  #lastAt: number
  #worstGapMs = 0

  /** `now` is monotonic, ms. */
  constructor(bus: Bus, topic: string, now: () => number) {
    this.#bus = bus
    this.#topic = topic
    this.#now = now
    this.#lastAt = now()
  }

  get acknowledged(): number {
    return this.#acknowledged.length
  }

  get followed(): number {
    return this.#followed.length
  }

  start({ keys = 20, perSecond = 300 }: LoadOptions = {}): void {
    const tick = async () => {
      for (const begun = this.#now(); this.#running; await sleep(10)) {
        const due = ((this.#now() - begun) / 1000) * perSecond
        while (this.#published < due) this.#publish(this.#published++ % keys)
      }
    }
    this.#loop = tick()
  }

  /** Ends the load and audits it: every acknowledged event is present, at the acknowledged position, and each key is in order. */
  async audit(): Promise<Audit> {
    this.#running = false
    await this.#loop
    await Promise.all(this.#publishing)
    const fresh: Message[] = []
    await using old = await this.follow()
    {
      await using reader = await this.#bus.follow([this.#topic], 'start', async (batch) => void fresh.push(...batch))
      await reader.caughtUp
    }
    await old.caughtUp
    expect(this.#acknowledged).toHaveLength(this.#published)
    const present = new Map(fresh.map((message) => [place(message), text(message)]))
    for (const { text: wanted, position } of this.#acknowledged) expect(present.get(place(position))).toBe(wanted)
    expect(present.size).toBe(fresh.length)
    inOrder(fresh)
    return {
      published: this.#published,
      duplicated: fresh.length - new Set(fresh.map(text)).size,
      worstGapMs: this.#worstGapMs,
    }
  }

  /** A follower that collects its messages. The fault must not make it lose or repeat any. */
  async follow() {
    const seen = new Set<string>()
    return await this.#bus.follow([this.#topic], 'start', async (batch) => {
      for (const message of batch) {
        expect(seen.has(place(message))).toBe(false)
        seen.add(place(message))
      }
      this.#followed.push(...batch)
    })
  }

  #publish(key: number): void {
    const body = `${key}:${this.#published}`
    const publishing = publishUntilDurable(this.#bus, this.#topic, [{ key: `key-${key}`, bytes: Buffer.from(body) }], {
      wait: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => {}),
    }).then(([position]) => {
      const now = this.#now()
      this.#worstGapMs = Math.max(this.#worstGapMs, now - this.#lastAt)
      this.#lastAt = now
      if (position !== undefined) this.#acknowledged.push({ text: body, position })
    })
    this.#publishing.add(publishing)
    publishing.finally(() => this.#publishing.delete(publishing)).catch(() => {})
  }
}

/** Asserts that the first copies of each key's events are in rising order. */
function inOrder(messages: readonly Message[]): void {
  const newest = new Map<string, number>()
  const seen = new Set<string>()
  for (const message of messages) {
    if (seen.has(text(message))) continue
    seen.add(text(message))
    const [key = '', n = ''] = text(message).split(':')
    expect(Number(n)).toBeGreaterThan(newest.get(key) ?? -1)
    newest.set(key, Number(n))
  }
}

function text({ bytes }: Message): string {
  return Buffer.from(bytes).toString()
}

function place({ topic, partition, offset }: Position): string {
  return `${topic}/${partition}/${offset}`
}
