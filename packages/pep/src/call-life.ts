import { ServiceError } from '@bailiwick/errors'
import type { CutReason, OpenCalls } from './open-calls.ts'

/** From the permit to the outcome of one call. Its signal is aborted if the call must end before that. */
export class CallLife implements Disposable {
  readonly #controller = new AbortController()
  readonly #watched: Disposable
  readonly #timer: NodeJS.Timeout | undefined

  /** `withinMs`: how long it may last; undefined: the decision point alone ends it. */
  constructor(openCalls: Pick<OpenCalls, 'watch'>, decisionId: string, withinMs: number | undefined) {
    this.#watched = openCalls.watch(decisionId, (why) => this.cut(why))
    if (withinMs !== undefined) this.#timer = setTimeout(() => this.cut('deadline_exceeded'), withinMs).unref()
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  cut(why: CutReason): void {
    if (!this.signal.aborted) this.#controller.abort(new ServiceError('stream_cut', why))
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    this.#watched[Symbol.dispose]()
  }
}

/** Why a call was cut: from its signal, or from what its effect threw because of it. undefined: it was not. */
export function cutReasonOf(thrown: unknown): CutReason | undefined {
  return thrown instanceof ServiceError && thrown.code === 'stream_cut' ? thrown.detail : undefined
}
