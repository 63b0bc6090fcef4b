import { ServiceError } from '@bailiwick/errors'

/** Up to here a body is not counted: any other route takes as much. */
const counted = 1024 * 1024
/** What large bodies may hold at the same time, in bytes: those of one network, and all of them. */
const most = { ofOne: 64 * 1024 * 1024, together: 256 * 1024 * 1024 }

/** Counts the large bodies that are being read or kept, so that clients without a valid credential cannot fill the memory (V18). */
export class LargeBodies {
  readonly #networks = new Map<string, number>()
  #together = 0

  /** `bytes`: what the request announces. Call what it returns once the request is over. Throws `queue_full` if there is no room. */
  take(network: string, bytes: number): () => void {
    if (bytes <= counted) return () => undefined
    const own = this.#networks.get(network) ?? 0
    if (own + bytes > most.ofOne || this.#together + bytes > most.together)
      throw new ServiceError('queue_full', 'too many large requests are under way', { retryAfterSeconds: 1 })
    this.#networks.set(network, own + bytes)
    this.#together += bytes
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      this.#together -= bytes
      const left = (this.#networks.get(network) ?? bytes) - bytes
      if (left > 0) this.#networks.set(network, left)
      else this.#networks.delete(network)
    }
  }
}
