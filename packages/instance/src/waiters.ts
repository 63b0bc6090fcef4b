import { ServiceError } from '@bailiwick/errors'
import type { Verdict } from '@bailiwick/projection'

/** The callers that wait for the projection, each with a deadline. */
export class Waiters {
  readonly #checks = new Set<() => void>()
  /** By event, answered in order of arrival: another event published under the same id must not get this one's verdict. */
  readonly #verdicts = new Map<string, ((verdict: Verdict) => void)[]>()
  readonly #end = new Set<() => void>()
  #closed = false

  /** An error thrown by `check` goes to its caller, never to the follower that happened to wake it. */
  async until<T>(check: () => T | undefined, ms: number): Promise<T | undefined> {
    const now = check()
    if (now !== undefined || this.#closed) return now
    return new Promise((resolve, reject) => {
      const forget = () => {
        clearTimeout(timer)
        this.#checks.delete(attempt)
        this.#end.delete(end)
      }
      const finish = (value: T | undefined) => {
        forget()
        resolve(value)
      }
      const end = () => finish(undefined)
      const attempt = () => {
        try {
          const value = check()
          if (value !== undefined) finish(value)
        } catch (error) {
          forget()
          reject(error)
        }
      }
      const timer = setTimeout(end, ms)
      this.#checks.add(attempt)
      this.#end.add(end)
    })
  }

  verdict(eventId: string, ms: number): Promise<Verdict> {
    const { promise, resolve, reject } = Promise.withResolvers<Verdict>()
    const late = () => reject(new ServiceError('deadline_exceeded', 'an event was not read back in time'))
    if (this.#closed) {
      late()
      return promise
    }
    const timer = setTimeout(() => {
      forget()
      late()
    }, ms)
    const forget = () => {
      clearTimeout(timer)
      this.#end.delete(end)
      const others = this.#verdicts.get(eventId)?.filter((other) => other !== answer) ?? []
      if (others.length > 0) this.#verdicts.set(eventId, others)
      else this.#verdicts.delete(eventId)
    }
    const answer = (verdict: Verdict) => {
      forget()
      resolve(verdict)
    }
    const end = () => {
      forget()
      late()
    }
    this.#verdicts.set(eventId, [...(this.#verdicts.get(eventId) ?? []), answer])
    this.#end.add(end)
    return promise
  }

  settle(eventId: string, verdict: Verdict): void {
    this.#verdicts.get(eventId)?.[0]?.(verdict)
  }

  wake(): void {
    for (const check of this.#checks) check()
  }

  /** Leaves no caller waiting. Later questions are answered from what is known. */
  close(): void {
    this.#closed = true
    for (const end of this.#end) end()
  }
}
