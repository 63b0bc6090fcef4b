import type { Bus } from '@bailiwick/bus'
import type { Consumed } from './tree-head.ts'

/** How many messages may wait before evidence says that it is not ready: no retention is near, but something is wrong. */
const bound = 20_000
const everyMs = 1000

/** How far evidence is behind the bus, looked up each second. */
export class Lag implements Disposable {
  readonly #bus: Bus
  readonly #topics: readonly string[]
  readonly #consumed: () => Consumed
  readonly #timer: NodeJS.Timeout
  #messages: number | undefined

  constructor(bus: Bus, topics: readonly string[], consumed: () => Consumed) {
    this.#bus = bus
    this.#topics = topics
    this.#consumed = consumed
    const look = () => void this.measure().catch(() => this.#forget())
    this.#timer = setInterval(look, everyMs)
    look()
  }

  /** Messages on the bus that are not in the log; undefined when the bus does not say. */
  get messages(): number | undefined {
    return this.#messages
  }

  /** A readiness check (V13: what cannot be measured is not well). */
  readonly check = (): string | undefined => {
    if (this.#messages === undefined) return 'how far the log is behind is not known'
    return this.#messages > bound ? `the log is ${this.#messages} events behind` : undefined
  }

  /** Looks now. Rejects when the bus does not answer. */
  async measure(): Promise<number> {
    let behind = 0
    for (const topic of this.#topics) {
      const ends = await this.#bus.ends(topic)
      for (const [partition, end] of ends.entries())
        behind += Math.max(0, end - 1 - (this.#consumed()[topic]?.[partition] ?? -1))
    }
    this.#messages = behind
    return behind
  }

  #forget(): void {
    this.#messages = undefined
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}
