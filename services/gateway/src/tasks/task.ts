import { withResolvers } from '@bailiwick/kit'
import type { TaskState } from '@bailiwick/mcp'
import { cutReasonOf, type Effect, type Owed, type Permitted } from '@bailiwick/pep'
import { isSilence } from '../mcp/authenticate.ts'

/** As long as the point that asked for the decision said: an hour. */
const longestMs = 3_600_000
/** After this, the outcome waits no longer for a client to read the result, in ms. The result can still be read. */
const unreadMs = 10_000

const endings: Readonly<Record<string, NonNullable<Effect['status']>>> = {
  completed: 'succeeded',
  failed: 'failed',
  // A part of it may have happened.
  cancelled: 'unknown',
}

export interface TaskParts {
  /** Called once nothing may be read of it any more, with whether the server may still work on it. */
  onEnded: (task: Task, wasRunning: boolean) => void
  /** Watches the grant behind its decision: as `EnforcementPoint.watch`. */
  watch: (decisionId: string, cut: (reason: string) => void) => Disposable
}

/** Whether a status ends a task. */
export const isEnding = (status: string): boolean => Object.hasOwn(endings, status)

/**
 * A call that goes on at its server after it was answered. It was decided and counted once: its decision allows what is read of it and
 * limits that, and its outcome is reported when it ends.
 */
export class Task {
  readonly id: string
  readonly decisionId: string
  readonly owed: Owed
  readonly pollMs: number | undefined
  readonly #parts: TaskParts
  readonly #late: NodeJS.Timeout
  #watched: Disposable | undefined
  readonly #effect = withResolvers<Effect>()
  readonly #life = new AbortController()
  /** Bytes that left in the answer of its call. */
  #before: number | undefined
  /** Bytes that left in answers about it, and those that may still leave in answers that are under way. */
  #sent = 0
  #status: Effect['status']
  #isReported = false
  #unread: NodeJS.Timeout | undefined

  constructor(
    { id, pollMs }: TaskState,
    { decisionId, owed, signal }: Pick<Permitted, 'decisionId' | 'owed' | 'signal'>,
    parts: TaskParts,
  ) {
    this.id = id
    this.pollMs = pollMs
    this.decisionId = decisionId
    this.owed = owed
    this.#parts = parts
    const cut = () => this.#cut(cutReasonOf(signal.reason))
    const late = () => this.end('deadline_exceeded')
    this.#late = setTimeout(late, Math.min(owed.withinMs ?? longestMs, longestMs)).unref()
    signal.addEventListener('abort', cut, { once: true })
    void this.#effect.promise.then(() => signal.removeEventListener('abort', cut))
    if (signal.aborted) queueMicrotask(cut)
  }

  /** What the outcome says. Resolves when the task ended and its result was read, and at the latest when its call may last no longer. */
  get effect(): Promise<Effect> {
    return this.#effect.promise
  }

  /** Whether the server still works on it, as far as is known. */
  get isRunning(): boolean {
    return this.#status === undefined
  }

  /** Aborted when the server no longer works on it. */
  get running(): AbortSignal {
    return this.#life.signal
  }

  /** Whether its outcome was reported. */
  get isReported(): boolean {
    return this.#isReported
  }

  /** The server said this of it. */
  told({ status, hasFailed }: Pick<TaskState, 'status' | 'hasFailed'>): void {
    if (!this.isRunning || !isEnding(status)) return
    this.#ended(status === 'completed' && hasFailed ? 'failed' : endings[status])
    if (status === 'cancelled') this.#report()
    // Where bytes are limited, the result must not leave after they were counted.
    else if (this.owed.mostBytes === undefined) this.#unread = setTimeout(() => this.#report(), unreadMs).unref()
  }

  /** The answer of its call is over, and so many bytes left in it. */
  answered(bytes: number): void {
    this.#before = bytes
  }

  /** Takes what an answer about it may hold at most; undefined if there is no limit. Give it back with `passed`. */
  take(): number | undefined {
    const { mostBytes } = this.owed
    if (mostBytes === undefined) return undefined
    const left = Math.max(0, mostBytes - (this.#before ?? mostBytes) - this.#sent)
    this.#sent += left
    return left
  }

  /** An answer for which `taken` was taken is over: so many bytes left in it, and it was the whole result. */
  passed(taken: number | undefined, bytes: number, isResult: boolean): void {
    this.#sent += bytes - (taken ?? 0)
    if (!isResult || this.isRunning) return
    this.#report()
    if (this.owed.mostBytes !== undefined) this.#parts.onEnded(this, false)
  }

  /** Nothing of it goes on: its grant or its time is over (`cut`), or the conversation is. */
  end(cut?: string): void {
    const wasRunning = this.isRunning
    this.#ended(this.#status ?? 'unknown')
    this.#report(wasRunning && cut !== undefined ? { cut } : {})
    this.#parts.onEnded(this, wasRunning)
  }

  /**
   * The call must end. If the decision point was only not heard, the server works on, like a process between calls: nothing can be read of
   * the task until the decision point is back, and then its grant is asked about again.
   */
  #cut(reason: string | undefined): void {
    const mayGoOn = reason !== undefined && isSilence(reason) && this.#before !== undefined
    if (!mayGoOn) this.end(reason)
    else if (!this.#isReported) this.#watched = this.#parts.watch(this.decisionId, (why) => this.#cut(why))
  }

  #ended(status: Effect['status']): void {
    this.#status = status
    this.#life.abort()
  }

  #report(more: Pick<Effect, 'cut'> = {}): void {
    clearTimeout(this.#unread)
    clearTimeout(this.#late)
    this.#watched?.[Symbol.dispose]()
    this.#isReported = true
    this.#effect.resolve({ status: this.#status, egress_bytes: this.#sent, ...more } as Effect)
  }
}
