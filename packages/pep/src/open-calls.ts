import { longestOpenCallsWaitMs, mostOpenCalls, openCallsAnswerSchema } from '@bailiwick/contracts'
import { errorCode } from '@bailiwick/errors'
import { after, systemClock } from '@bailiwick/kit'
import type { PdpClient } from './pdp-client.ts'

/**
 * Why a call ends before its effect does: the reason with which the decision point would deny it now, or a reason of this point itself: the
 * PDP did not confirm the call for too long, its time was over, or the point closes.
 */
export type CutReason = string

export interface OpenCallsOptions {
  pdp: Pick<PdpClient, 'call'>
  /** How long a call may go on without confirmation that it stands, ms. */
  maxSilenceMs: number
}

/** The age from which a call is asked about: most calls are over before that. V7 leaves 1 s. */
const youngMs = 300
const waitMs = Math.min(500, longestOpenCallsWaitMs)
/** Allowed for the way there and back, and for a busy process at either end. */
const slackMs = 1000
const pauseMs = 100
const lookMs = 100

interface OpenCall {
  decisionId: string
  cut: (why: CutReason) => void
  /** When the question was sent that last confirmed the call; at first, when it was allowed. By a clock that never goes back, ms. */
  confirmedAt: number
}

/**
 * Keeps asking the decision point about the calls that go on. It cuts each call whose grant was withdrawn or is over, and each that was not
 * confirmed for `maxSilenceMs` (V7, V8, V13). It asks nothing while no call goes on.
 */
export class OpenCalls implements Disposable {
  readonly #options: OpenCallsOptions
  /** Not by decision: a call that flows and what it leaves behind are watched under one, and end at different times. */
  readonly #open = new Set<OpenCall>()
  readonly #stop = new AbortController()
  #asking: Promise<void> | undefined
  #looking: NodeJS.Timeout | undefined

  constructor(options: OpenCallsOptions) {
    this.#options = options
  }

  /** Watches a call that was just allowed, until it is disposed of. `cut` is called at most once. */
  watch(decisionId: string, cut: (why: CutReason) => void): Disposable {
    const call: OpenCall = { decisionId, cut, confirmedAt: systemClock.monotonic() }
    const timer = setTimeout(() => this.#add(call), youngMs)
    return {
      [Symbol.dispose]: () => {
        clearTimeout(timer)
        this.#remove(call)
      },
    }
  }

  #add(call: OpenCall): void {
    if (this.#stop.signal.aborted) return
    this.#open.add(call)
    this.#looking ??= setInterval(() => this.#cutSilent(), lookMs).unref()
    this.#asking ??= this.#askAll().finally(() => {
      this.#asking = undefined
      // A call may have been added after the last look at the list.
      const [waiting] = this.#open
      if (waiting !== undefined) this.#add(waiting)
    })
  }

  #remove(call: OpenCall): void {
    this.#open.delete(call)
    if (this.#open.size > 0) return
    clearInterval(this.#looking)
    this.#looking = undefined
  }

  #cut(call: OpenCall, why: CutReason): void {
    if (!this.#open.has(call)) return
    this.#remove(call)
    call.cut(why)
  }

  #cutSilent(): void {
    const since = systemClock.monotonic() - this.#options.maxSilenceMs
    for (const call of this.#open) if (call.confirmedAt < since) this.#cut(call, 'pdp_unavailable')
  }

  async #askAll(): Promise<void> {
    const { signal } = this.#stop
    while (this.#open.size > 0 && !signal.aborted) {
      const calls = [...this.#open]
      const lists = Array.from({ length: Math.ceil(calls.length / mostOpenCalls) }, (_, n) =>
        calls.slice(n * mostOpenCalls, (n + 1) * mostOpenCalls),
      )
      const answered = await Promise.all(lists.map((each) => this.#ask(each)))
      if (answered.includes(false)) await after(pauseMs, signal).catch(() => undefined)
    }
  }

  /** Whether there was an answer. Never throws: silence cuts the calls in time. */
  async #ask(calls: readonly OpenCall[]): Promise<boolean> {
    const askedAt = systemClock.monotonic()
    const body = { decisions: [...new Set(calls.map(({ decisionId }) => decisionId))], wait_ms: waitMs }
    const enough = new AbortController()
    const stop = () => enough.abort()
    const timer = setTimeout(stop, waitMs + slackMs)
    this.#stop.signal.addEventListener('abort', stop, { once: true })
    const { status, body: answer } = await this.#options.pdp
      .call('POST', '/v1/open-calls', body, enough.signal)
      .catch(() => ({ status: 0, body: undefined }))
    clearTimeout(timer)
    this.#stop.signal.removeEventListener('abort', stop)
    // The decision point itself cannot know whether the calls stand, and it has already waited.
    if (errorCode(answer) === 'state_stale') for (const call of calls) this.#cut(call, 'state_stale')
    const read = openCallsAnswerSchema.safeParse(answer)
    if (status !== 200 || !read.success) return false
    const over = new Map(read.data.over.map(({ decision_id, reason }) => [decision_id, reason]))
    const unknown = new Set(read.data.unknown)
    for (const call of calls) {
      const reason = over.get(call.decisionId)
      if (reason !== undefined) this.#cut(call, reason)
      else if (!unknown.has(call.decisionId)) call.confirmedAt = Math.max(call.confirmedAt, askedAt)
    }
    return true
  }

  [Symbol.dispose](): void {
    this.#stop.abort()
    clearInterval(this.#looking)
    this.#open.clear()
  }
}
