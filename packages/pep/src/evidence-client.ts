import { ServiceError } from '@bailiwick/errors'
import { after } from '@bailiwick/service-kit'

export interface EvidenceClientOptions {
  /** Evidence's public URL, without a slash at the end. */
  evidenceUrl: string
  fetch: typeof fetch
  /** How long one answer may take, in ms. */
  timeoutMs: number
  onProblem: (problem: ServiceError) => void
}

const pausesMs = [0, 1000, 5000]
/** Each holds a connection while evidence hangs, and calls need theirs. */
const mostUnderway = 256

/**
 * Tells evidence each outcome past the decision point, so that this one cannot keep it to itself. Behind everything else and with a
 * few attempts only: nothing waits for it, and what evidence misses the decision point still relays.
 */
export class EvidenceClient implements AsyncDisposable {
  readonly #options: EvidenceClientOptions
  readonly #stop = new AbortController()
  readonly #underway = new Set<Promise<void>>()

  constructor(options: EvidenceClientOptions) {
    this.#options = options
  }

  /** Throws nothing, and does not wait. */
  tell(outcome: string): void {
    if (this.#underway.size >= mostUnderway) {
      this.#untold(new Error('evidence has too many to take already'))
      return
    }
    const telling = this.#tell(outcome).finally(() => this.#underway.delete(telling))
    this.#underway.add(telling)
  }

  /** What is under way has its answer or its timeout; nothing is tried again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#underway)
  }

  async #tell(outcome: string): Promise<void> {
    const { evidenceUrl, fetch, timeoutMs } = this.#options
    let why: unknown
    for (const pauseMs of pausesMs) {
      if (pauseMs > 0) await after(pauseMs, this.#stop.signal).catch(() => undefined)
      if (pauseMs > 0 && this.#stop.signal.aborted) break
      try {
        const response = await fetch(`${evidenceUrl}/log/outcomes`, {
          method: 'POST',
          redirect: 'error',
          signal: AbortSignal.timeout(timeoutMs),
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ outcome }),
        })
        await response.body?.cancel()
        if (response.status === 204) return
        why = new Error(`evidence answers ${response.status}`)
        if (response.status < 500 && response.status !== 429) break
      } catch (error) {
        why = error
      }
    }
    this.#untold(why)
  }

  #untold(cause: unknown): void {
    this.#options.onProblem(new ServiceError('service_unreachable', 'evidence was not told of an outcome', { cause }))
  }
}
