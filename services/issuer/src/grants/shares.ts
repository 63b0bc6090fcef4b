import { type ErrorCode, ServiceError } from '@bailiwick/errors'

/** Limits how much of what waits may belong to one agent. */
export class Shares {
  readonly #most: number
  readonly #code: ErrorCode
  readonly #held = new Map<string, number>()

  constructor(most: number, code: ErrorCode) {
    this.#most = most
    this.#code = code
  }

  /** Settles as `task` does. Rejects if `who` has too much under way. */
  async within<T>(who: string, task: () => Promise<T>): Promise<T> {
    const held = this.#held.get(who) ?? 0
    if (held >= this.#most) throw new ServiceError(this.#code, 'too much of this agent is waiting')
    this.#held.set(who, held + 1)
    try {
      return await task()
    } finally {
      const left = (this.#held.get(who) ?? 1) - 1
      if (left === 0) this.#held.delete(who)
      else this.#held.set(who, left)
    }
  }
}
