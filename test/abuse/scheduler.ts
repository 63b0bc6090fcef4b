import { setTimeout as pause } from 'node:timers/promises'
import type { Bus, FaultyBus } from '@bailiwick/bus'
import { faultyBus } from '@bailiwick/bus'

const longHoldMs = 12

/**
 * Every caller that asks for a turn waits, and proceeds in the order that the seed chooses: people, agents,
 * publications, and each reader's deliveries, topic by topic. The machine's own timing is not controlled, so a seed
 * finds a fault again but does not replay it exactly.
 */
export class Scheduler {
  readonly #waiting: (() => void)[] = []
  #random: (() => number) | undefined
  #going = false

  /** Uses this seed's generator from now on; without one, all callers proceed at once. */
  use(random: (() => number) | undefined): void {
    this.#random = random
    if (random === undefined) for (const go of this.#waiting.splice(0)) go()
  }

  async turn(): Promise<void> {
    const random = this.#random
    if (random === undefined) return
    if (random() < 0.06) await pause(1 + random() * longHoldMs)
    await new Promise<void>((go) => {
      this.#waiting.push(go)
      this.#goOn()
    })
  }

  #goOn(): void {
    if (this.#going) return
    this.#going = true
    setImmediate(() => {
      this.#going = false
      const [go] = this.#waiting.splice(Math.floor((this.#random?.() ?? 0) * this.#waiting.length), 1)
      go?.()
      if (this.#waiting.length > 0) this.#goOn()
    })
  }
}

/**
 * Breaks publishing where `breaks` says so, and gives everything else its turn. Heads pass freely: they only say that a
 * service is alive.
 */
export function scheduledBus(real: Bus, scheduler: Scheduler, breaks: () => 'before' | 'after' | undefined): FaultyBus {
  const lanes = new Map<string, Promise<unknown>>()
  const free = (topics: readonly string[]) => topics.every((topic) => topic === 'heads.v1')
  const slow: Bus = {
    publish(topic, events) {
      if (free([topic])) return real.publish(topic, events)
      const same = events.map(({ key, bytes }) => ({ key, bytes: new Uint8Array(bytes) }))
      // A bus promises to keep the order of calls on a topic.
      const published = (lanes.get(topic) ?? Promise.resolve()).then(async () => {
        await scheduler.turn()
        return real.publish(topic, same)
      })
      lanes.set(
        topic,
        published.catch(() => undefined),
      )
      return published.finally(() => scheduler.turn())
    },
    follow: (topics, since, handler) =>
      real.follow(topics, since, async (batch) => {
        if (!free(topics)) await scheduler.turn()
        await handler(batch)
      }),
    consume: (topics, group, handler) =>
      real.consume(topics, group, async (batch) => {
        await scheduler.turn()
        return handler(batch)
      }),
    ends: (topic) => real.ends(topic),
    [Symbol.asyncDispose]: () => real[Symbol.asyncDispose](),
  }
  return faultyBus(slow, ({ method, topic }) =>
    method === 'publish' && !free([topic]) && topic !== 'checkpoints.v1' ? breaks() : undefined,
  )
}
