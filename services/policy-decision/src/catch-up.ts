import type { ActivePolicies } from './policies.ts'

/**
 * Reads a topic up to its end of this moment. Who asks while one reading is on its way shares the next, so however many ask,
 * the bus is asked once at a time; never the one before, which may have begun too early.
 */
export class CatchUp {
  readonly #readToEnd: () => Promise<void>
  #running: Promise<unknown> = Promise.resolve()
  #next: Promise<void> | undefined

  constructor(readToEnd: () => Promise<void>) {
    this.#readToEnd = readToEnd
  }

  /** Resolves when all that was durable as it was called is folded; rejects as the reading does, or after `ms`. */
  async now(ms: number): Promise<void> {
    this.#next ??= this.#running.then(() => {
      this.#next = undefined
      const reading = this.#readToEnd()
      this.#running = reading.catch(() => undefined)
      return reading
    })
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(() => late.reject(new Error('the end of the log was not read in time')), ms)
    try {
      await Promise.race([this.#next, late.promise])
    } finally {
      clearTimeout(timer)
    }
  }
}

/** Whether policies may be asked: all is here that they may look at. Theirs alone, since it costs the bus a question. */
export function isCaughtUp(
  { policies, catchUp }: { policies: ActivePolicies; catchUp: CatchUp },
  ms: number,
): Promise<boolean> {
  if (!policies.current()?.readsAgentHistory) return Promise.resolve(true)
  return catchUp.now(ms).then(
    () => true,
    () => false,
  )
}
