/** Resolves after `ms` of real time; rejects with the signal's reason once it is aborted. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.reject(signal.reason)
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', abort, { once: true })
  })
}

const firstMs = 200
const longestMs = 5000

/** The pauses between two polls for the same thing: each half as long again, up to 5 s, and never shorter than the service demands. */
export function* pauses(): Generator<number, never, number | undefined> {
  for (let ms = firstMs; ; ms = Math.min(ms * 1.5, longestMs)) yield ms
}
