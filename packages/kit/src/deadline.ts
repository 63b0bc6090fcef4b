import { type ErrorCode, ServiceError } from '@bailiwick/errors'
import { withResolvers } from './with-resolvers.ts'

/** Node turns a longer timer into one of 1 ms, which would make a distant deadline an immediate one. */
const LONGEST_TIMER_MS = 2_147_483_647

/**
 * Resolves after `ms` of real time (less than 0 counts as 0; at most 24 days, else RangeError). Rejects with the signal's
 * reason as soon as it is aborted. The timer keeps the process alive.
 */
export function after(ms: number, signal?: AbortSignal): Promise<void> {
  if (!(ms <= LONGEST_TIMER_MS)) return Promise.reject(new RangeError('a wait of more than 24 days'))
  if (signal?.aborted) return Promise.reject(signal.reason)
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(
      () => {
        signal?.removeEventListener('abort', abort)
        resolve()
      },
      Math.max(0, ms),
    )
    signal?.addEventListener('abort', abort, { once: true })
  })
}

/**
 * A signal that is aborted after `ms` of real time, unless it is disposed of earlier. A signal of `AbortSignal.timeout` keeps its listeners in
 * memory until its time is over, and then makes an error, even if the work ended long ago.
 */
export function abortedAfter(ms: number): Disposable & { readonly signal: AbortSignal } {
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(new DOMException('too late', 'TimeoutError')), Math.max(0, ms)).unref()
  return { signal: late.signal, [Symbol.dispose]: () => clearTimeout(timer) }
}

/**
 * Settles as `promise` does, or throws ServiceError(`code`) once `ms` of real time have passed. The work behind the promise is not
 * stopped, and its outcome is then ignored. Its writes may still happen.
 */
export async function withDeadline<T>(
  promise: Promise<T>,
  ms: number,
  code: ErrorCode = 'deadline_exceeded',
): Promise<T> {
  if (!(ms <= LONGEST_TIMER_MS)) throw new RangeError('a deadline in more than 24 days')
  // Not an AbortSignal: each abort creates an error that is never used, and this is on the path of every decision.
  const late = withResolvers<never>()
  const timer = setTimeout(() => late.reject(new ServiceError(code)), Math.max(0, ms))
  try {
    return await Promise.race([promise, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
