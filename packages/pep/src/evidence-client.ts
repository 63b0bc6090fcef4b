import { mostOutcomes, outcomeResultsSchema, parseStrictJson } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { abortedAfter, after } from '@bailiwick/kit'
import { type PointFetch, type PointResponse, readBounded } from './point-fetch.ts'

export interface EvidenceClientOptions {
  /** Evidence's public URL, without a slash at the end. */
  evidenceUrl: string
  fetch: PointFetch
  /** How long one answer may take, in ms. */
  timeoutMs: number
  onProblem: (problem: ServiceError) => void
}

const pausesMs = [0, 1000, 5000]
/** The most concurrent requests: each holds a connection while evidence hangs, and calls need connections too. */
const mostUnderway = 64

/**
 * Sends outcomes to evidence directly, so that the decision point cannot withhold them. It runs after everything else and makes only a few
 * attempts: nothing waits for it, and the decision point still relays what evidence misses.
 */
export class EvidenceClient implements AsyncDisposable {
  readonly #options: EvidenceClientOptions
  readonly #stop = new AbortController()
  readonly #underway = new Set<Promise<void>>()

  constructor(options: EvidenceClientOptions) {
    this.#options = options
  }

  /** `answered`: the decision point has given its last answer to them; otherwise they still wait. Never throws, and does not wait. */
  tell(outcomes: readonly string[], answered: boolean): void {
    for (let at = 0; at < outcomes.length; at += mostOutcomes) {
      if (this.#underway.size >= mostUnderway) {
        this.#untold(new Error('evidence has too many to take already'))
        return
      }
      const body = { outcomes: outcomes.slice(at, at + mostOutcomes), answered }
      const telling = this.#tell(JSON.stringify(body)).finally(() => this.#underway.delete(telling))
      this.#underway.add(telling)
    }
  }

  /** Requests under way end with an answer or a timeout; nothing is retried. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#underway)
  }

  async #tell(body: string): Promise<void> {
    const { evidenceUrl, fetch, timeoutMs } = this.#options
    let why: unknown
    for (const pauseMs of pausesMs) {
      if (pauseMs > 0) await after(pauseMs, this.#stop.signal).catch(() => undefined)
      if (pauseMs > 0 && this.#stop.signal.aborted) break
      using late = abortedAfter(timeoutMs)
      try {
        const response = await fetch(`${evidenceUrl}/log/outcomes`, {
          method: 'POST',
          redirect: 'manual',
          signal: late.signal,
          headers: { 'content-type': 'application/json' },
          body,
        })
        const status = await worstOf(response)
        if (status < 300) return
        why = new Error(`evidence answers ${status}`)
        if (!isToRepeat(status)) break
      } catch (error) {
        why = error
      }
    }
    this.#untold(why)
  }

  #untold(cause: unknown): void {
    this.#options.onProblem(new ServiceError('service_unreachable', 'evidence was not told of outcomes', { cause }))
  }
}

const isToRepeat = (status: number): boolean => status >= 500 || status === 429

/**
 * The status that refused the whole request, or one of its outcomes. A retryable one takes precedence, because all outcomes are then sent
 * again.
 */
async function worstOf(response: PointResponse): Promise<number> {
  const bytes = await readBounded(response)
  if (response.status !== 200) return response.status
  const { results } = outcomeResultsSchema.parse(parseStrictJson(bytes))
  const failed = results.map(({ status }) => status).filter((status) => status >= 300)
  return failed.find(isToRepeat) ?? failed[0] ?? 204
}
