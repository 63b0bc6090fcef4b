import { setTimeout } from 'node:timers/promises'
import { errorCode } from '@bailiwick/errors'

const forMs = 120_000
/** Said before anything was done; unreachable is what only an agent says, and what it asks for twice is there twice. */
export const passing: ReadonlySet<string> = new Set([
  'service_standby',
  'service_unready',
  'service_unreachable',
  'queue_full',
  'rate_limited',
])

/** What only prepares a measure and may be done again and again, whatever went wrong, for as long. */
export async function persistently<T>(act: () => Promise<T>): Promise<T> {
  for (const end = performance.now() + forMs; ; await setTimeout(500)) {
    try {
      return await act()
    } catch (error) {
      if (performance.now() > end) throw error
    }
  }
}

/** What only prepares a measure, asked again while a machine that others use too is late for it. */
export async function patiently<T>(act: () => Promise<T>): Promise<T> {
  for (const end = performance.now() + forMs; ; await setTimeout(500)) {
    try {
      return await act()
    } catch (error) {
      if (!passing.has(errorCode(error)) || performance.now() > end) throw error
    }
  }
}
