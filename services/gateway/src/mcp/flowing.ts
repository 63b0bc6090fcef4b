import type { Answer } from './answers.ts'

/** Counts the answers that are being made or still flow, so that what they come from can be closed after the last one. */
export class Flowing {
  #count = 0
  #idle: (() => void) | undefined

  /** Settles as `make` does. The answer counts until its body was read to its end or given up. */
  async of(make: () => Promise<Answer>): Promise<Answer> {
    this.#count++
    try {
      const answer = await make()
      if (answer.body instanceof Uint8Array) {
        this.#leave()
        return answer
      }
      return { ...answer, body: this.#followed(answer.body) }
    } catch (error) {
      this.#leave()
      throw error
    }
  }

  /** Resolves when nothing flows, at the latest after `mostMs`. Call it once, when nothing more begins. */
  async over(mostMs: number): Promise<void> {
    if (this.#count === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, mostMs).unref()
      this.#idle = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #leave(): void {
    if (--this.#count === 0) this.#idle?.()
  }

  #followed(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    const parts = body[Symbol.asyncIterator]()
    let isOver = false
    const end = () => {
      if (!isOver) this.#leave()
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
    const giveUp = async (): Promise<IteratorResult<Uint8Array>> => {
      end()
      await parts.return?.()
      return { done: true, value: undefined }
    }
    return { [Symbol.asyncIterator]: () => ({ next, return: giveUp }) }
  }
}
