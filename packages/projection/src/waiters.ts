import { ServiceError } from '@bailiwick/errors'
import type { Verdict } from './verdict.ts'

/** Who waits for the projection: each with a deadline. */
export class Waiters {
  readonly #checks = new Set<() => boolean>()
  readonly #verdicts = new Map<string, (verdict: Verdict) => void>()
  readonly #end = new Set<() => void>()

  until<T>(check: () => T | undefined, ms: number): Promise<T | undefined> {
    const now = check()
    if (now !== undefined) return Promise.resolve(now)
    return new Promise((resolve) => {
      const finish = (value: T | undefined) => {
        clearTimeout(timer)
        this.#checks.delete(attempt)
        this.#end.delete(end)
        resolve(value)
      }
      const end = () => finish(undefined)
      const attempt = () => {
        const value = check()
        if (value !== undefined) finish(value)
        return value !== undefined
      }
      const timer = setTimeout(end, ms)
      this.#checks.add(attempt)
      this.#end.add(end)
    })
  }

  verdict(eventId: string, ms: number): Promise<Verdict> {
    const { promise, resolve, reject } = Promise.withResolvers<Verdict>()
    const timer = setTimeout(() => {
      this.#verdicts.delete(eventId)
      reject(new ServiceError('deadline_exceeded', 'an event was not read back in time'))
    }, ms)
    this.#verdicts.set(eventId, (verdict) => {
      clearTimeout(timer)
      this.#verdicts.delete(eventId)
      resolve(verdict)
    })
    return promise
  }

  settle(eventId: string, verdict: Verdict): void {
    this.#verdicts.get(eventId)?.(verdict)
  }

  wake(): void {
    for (const check of this.#checks) check()
  }

  close(): void {
    for (const end of this.#end) end()
  }
}
