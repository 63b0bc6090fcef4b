import { setTimeout } from 'node:timers/promises'
import { errorCode } from '@bailiwick/errors'

const forMs = 120_000
/**
 * Refusals before anything was done. Only an agent reports an unreachable service, and a request that it repeats may be
 * there twice.
 */
export const passing: ReadonlySet<string> = new Set([
  'service_standby',
  'service_unready',
  'service_unreachable',
  'queue_full',
  'rate_limited',
])

/** Repeats a preparation step after any error, for two minutes. */
export async function persistently<T>(act: () => Promise<T>): Promise<T> {
  for (const end = performance.now() + forMs; ; await setTimeout(500)) {
    try {
      return await act()
    } catch (error) {
      if (performance.now() > end) throw error
    }
  }
}

/** Repeats a preparation step while a shared machine is late for it. */
export async function patiently<T>(act: () => Promise<T>): Promise<T> {
  for (const end = performance.now() + forMs; ; await setTimeout(500)) {
    try {
      return await act()
    } catch (error) {
      if (!passing.has(errorCode(error)) || performance.now() > end) throw error
    }
  }
}
