import { setTimeout as pause } from 'node:timers/promises'
import { errorCode } from '@bailiwick/errors'
import type { RecordDecisions } from './context.ts'

const againMs = 500

/**
 * Records what is evidence and nobody waits for. While the bus is away nothing further is numbered, and this is tried again until `stop`;
 * any other rejection is `record`'s.
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
