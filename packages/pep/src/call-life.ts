import { ServiceError } from '@bailiwick/errors'
import type { CutReason, OpenCalls } from './open-calls.ts'

/** One call, from its permit to its outcome. Its signal is aborted if the call must end earlier. */
export class CallLife implements Disposable {
  readonly #controller = new AbortController()
  readonly #watched: Disposable
  readonly #timer: NodeJS.Timeout | undefined

  /** `withinMs`: how long the call may last; if undefined, only the decision point ends it. */
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

/** Why a call was cut, by its signal or by what its effect threw because of it; undefined if it was not cut. */
export function cutReasonOf(thrown: unknown): CutReason | undefined {
  return thrown instanceof ServiceError && thrown.code === 'stream_cut' ? thrown.detail : undefined
}
