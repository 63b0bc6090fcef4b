import { errorCode, ServiceError } from '@bailiwick/errors'
import type { Bus, Outgoing, Position } from './bus.ts'

const FIRST_WAIT_MS = 10
const LONGEST_WAIT_MS = 1000

/** The reason for ending a wait is never examined. A real error would have to be created for each publish. */
const settled = Symbol('settled')

export interface RetryOptions {
  /** How long to go on, ms. Absent: until it is durable, or as long as the process lives. */
  deadlineMs?: number
  /** Resolves after `ms`; earlier, or with a rejection, once the signal is aborted. */
  wait: (ms: number, signal: AbortSignal) => Promise<unknown>
  /** An abort gives up the publish, as the deadline does. */
  signal?: AbortSignal
}

/**
 * Publishes, and repeats the same bytes with back-off as long as the outcome is unknown or the queue is full. So an event may be in the
 * topic more than once; readers fold by event id. Any other rejection of publish is thrown on, because repeating cannot help. At the
 * deadline, or once aborted, it rejects with `queue_full` if every try was refused for that reason, else with `outcome_unknown`: a
 * try that is still in progress may yet succeed.
 */
export async function publishUntilDurable(
  bus: Pick<Bus, 'publish'>,
  topic: string,
  events: readonly Outgoing[],
  { deadlineMs, wait, signal }: RetryOptions,
): Promise<Position[]> {
  // The caller may reuse its buffers while this waits, but repeats must send the original bytes.
  const same = events.map(({ key, bytes }) => ({ key, bytes: new Uint8Array(bytes) }))
  const waits = new AbortController()
  const late = Symbol('late')
  const ended = Promise.withResolvers<typeof late>()
  const end = () => ended.resolve(late)
  signal?.addEventListener('abort', end, { once: true })
  if (signal?.aborted) end()
  if (deadlineMs !== undefined) wait(deadlineMs, waits.signal).then(end, end)
  const deadline = ended.promise
  let unknown = false
  let pauseMs = FIRST_WAIT_MS
  try {
    for (;;) {
      const attempt = bus.publish(topic, same).catch((error: unknown) => {
        const code = errorCode(error)
        if (code !== 'outcome_unknown' && code !== 'queue_full') throw error
        unknown ||= code === 'outcome_unknown'
        return undefined
      })
      const positions = await Promise.race([attempt, deadline])
      if (positions === late) {
        attempt.catch(() => {}) // its answer is too late to matter, but must not end the process
        throw new ServiceError('outcome_unknown', 'not acknowledged within the deadline')
      }
      if (typeof positions === 'object') return positions
      if ((await Promise.race([wait(pauseMs, waits.signal), deadline])) === late) {
        throw new ServiceError(unknown ? 'outcome_unknown' : 'queue_full', 'not acknowledged within the deadline')
      }
      pauseMs = Math.min(pauseMs * 2, LONGEST_WAIT_MS)
    }
  } finally {
    waits.abort(settled)
    signal?.removeEventListener('abort', end)
  }
}
