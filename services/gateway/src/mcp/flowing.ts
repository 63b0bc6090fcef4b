import { bodyOf } from '@bailiwick/relay'
import type { Answer } from './answers.ts'

/** Counts the answers that are being made or still flow, by owner, so that what they come from can be closed after the last one. */
export class Flowing {
  /** Called with an owner whose last answer is over. */
  onIdle: (owner: string) => void = () => undefined
  readonly #counts = new Map<string, number>()
  #idle: (() => void) | undefined

  /** Whether an answer of this owner is being made or flows. */
  has(owner: string): boolean {
    return this.#counts.has(owner)
  }

  /** Settles as `make` does. The answer counts until its body was read to its end or given up. */
  async of(owner: string, make: () => Promise<Answer>): Promise<Answer> {
    this.#counts.set(owner, (this.#counts.get(owner) ?? 0) + 1)
    try {
      const answer = await make()
      if (answer.body instanceof Uint8Array) {
        this.#leave(owner)
        return answer
      }
      return { ...answer, body: followed(answer.body, () => this.#leave(owner)) }
    } catch (error) {
      this.#leave(owner)
      throw error
    }
  }

  /** Resolves when nothing flows, at the latest after `mostMs`. Call it once, when nothing more begins. */
  async over(mostMs: number): Promise<void> {
    if (this.#counts.size === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, mostMs).unref()
      this.#idle = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #leave(owner: string): void {
    const left = (this.#counts.get(owner) ?? 1) - 1
    if (left > 0) {
      this.#counts.set(owner, left)
      return
    }
    this.#counts.delete(owner)
    this.onIdle(owner)
    if (this.#counts.size === 0) this.#idle?.()
  }
}

/** The body, of whose end `onEnd` hears once: when it was read to its end, given up, or failed. */
export function followed(body: AsyncIterable<Uint8Array>, onEnd: () => void): AsyncIterableIterator<Uint8Array> {
  const parts = body[Symbol.asyncIterator]()
  let isOver = false
  const end = () => {
    if (!isOver) onEnd()
    isOver = true
  }
  const next = async () => {
    try {
      const part = await parts.next()
      if (part.done) end()
      return part
    } catch (error) {
      end()
      throw error
    }
  }
  return bodyOf(next, () => {
    end()
    return parts.return?.()
  })
}
