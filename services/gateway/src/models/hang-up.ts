import { bodyOf } from '@bailiwick/relay'

/** Aborts `late` when the client has been gone for `ms`. Dispose of it once the answer is over. */
export function hangUp(gone: AbortSignal, ms: number): Disposable & { readonly late: AbortSignal } {
  const late = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const wait = () => {
    timer = setTimeout(() => late.abort(gone.reason), ms)
  }
  if (gone.aborted) wait()
  else gone.addEventListener('abort', wait, { once: true })
  return {
    late: late.signal,
    [Symbol.dispose]() {
      gone.removeEventListener('abort', wait)
      clearTimeout(timer)
    },
  }
}

/** The same bytes. If their reader gives them up, the rest is read all the same and thrown away: its end says what the answer cost. */
export function readOn(body: AsyncIterable<Uint8Array>): AsyncIterableIterator<Uint8Array> {
  const source = body[Symbol.asyncIterator]()
  const rest = async () => {
    while (!(await source.next()).done);
  }
  return bodyOf(
    () => source.next(),
    // How it ends is in the outcome.
    () => void rest().catch(() => undefined),
  )
}
