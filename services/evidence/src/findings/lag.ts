import type { Bus } from '@bailiwick/bus'
import type { Consumed } from '../log/tree-head.ts'
import type { Ends } from './gaps.ts'

/** How many messages may wait before evidence reports that it is not ready: far from any retention limit, but a sign of a fault. */
const bound = 20_000
const everyMs = 1000

/** How far evidence is behind the bus, measured each second. */
export class Lag implements Disposable {
  readonly #bus: Bus
  readonly #topics: readonly string[]
  readonly #consumed: () => Consumed
  readonly #timer: NodeJS.Timeout
  readonly #readings = new Set<() => (ends: Ends) => void>()
  #messages: number | undefined

  constructor(bus: Bus, topics: readonly string[], consumed: () => Consumed) {
    this.#bus = bus
    this.#topics = topics
    this.#consumed = consumed
    const look = () => void this.measure().catch(() => this.#forget())
    this.#timer = setInterval(look, everyMs)
    look()
  }

  /** Messages on the bus that are not in the log; undefined if the bus does not answer. */
  get messages(): number | undefined {
    return this.#messages
  }

  /** Calls `begins` before each lookup of the bus's ends, and passes the ends to the function that it returned. Returns how to stop. */
  onReading(begins: () => (ends: Ends) => void): () => void {
    this.#readings.add(begins)
    return () => void this.#readings.delete(begins)
  }

  /** How far the log has read the bus. */
  get consumed(): Consumed {
    return this.#consumed()
  }

  /** A readiness check (V13: a lag that cannot be measured counts as not ready). */
  readonly check = (): string | undefined => {
    if (this.#messages === undefined) return 'how far the log is behind is not known'
    return this.#messages > bound ? `the log is ${this.#messages} events behind` : undefined
  }

  /** Measures now. Rejects if the bus does not answer. */
  async measure(): Promise<number> {
    const answered = [...this.#readings].map((begins) => begins())
    const ends: Record<string, readonly number[]> = {}
    for (const topic of this.#topics) ends[topic] = await this.#bus.ends(topic)
    for (const answer of answered) answer(ends)
    let behind = 0
    for (const [topic, partitions] of Object.entries(ends))
      for (const [partition, end] of partitions.entries())
        behind += Math.max(0, end - 1 - (this.#consumed()[topic]?.[partition] ?? -1))
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
