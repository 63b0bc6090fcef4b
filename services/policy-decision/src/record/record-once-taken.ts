import { setTimeout as pause } from 'node:timers/promises'
import { errorCode } from '@bailiwick/errors'
import type { RecordDecisions } from '../ports.ts'

const againMs = 500

/**
 * Records evidence for which no caller waits. While the bus is away no further event is numbered, so this tries again until `stop`.
 * It passes on every other rejection of `record`.
 */
export async function recordOnceTaken(
  record: RecordDecisions,
  drafts: Parameters<RecordDecisions>[0],
  stop: AbortSignal,
): Promise<void> {
  for (;;) {
    try {
      await record(drafts)
      return
    } catch (error) {
      if (errorCode(error) !== 'bus_unavailable' || stop.aborted) throw error
      await pause(againMs, undefined, { signal: stop }).catch(() => undefined)
    }
  }
}
