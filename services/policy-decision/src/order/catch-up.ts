import type { ActivePolicies } from '../state/policies.ts'

/**
 * Reads a topic up to its current end. Callers that arrive during a reading share the next one, so the bus is asked once at a time,
 * however many callers there are. They never share the reading under way, which may have begun too early.
 */
export class CatchUp {
  readonly #readToEnd: () => Promise<void>
  #running: Promise<unknown> = Promise.resolve()
  #next: Promise<void> | undefined

  constructor(readToEnd: () => Promise<void>) {
    this.#readToEnd = readToEnd
  }

  /** Resolves once all events that were durable at the time of the call are folded. Rejects as the reading does, or after `ms`. */
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

/** Whether all events that policies may read are here. Only such policies need this, since it costs a request to the bus. */
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
