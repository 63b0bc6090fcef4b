import type { Bus } from '@bailiwick/bus'
import { ServiceError } from '@bailiwick/errors'
import type { Consumed } from './tree-head.ts'

/**
 * Refuses (`log_inconsistent`) a bus that ends before what the log has had of it: it was put back to an earlier state, or is
 * another one. Its readers would hold alive what was revoked since, and nothing on the bus could tell them (V7).
 */
export async function assertBusKept(bus: Pick<Bus, 'ends'>, consumed: Consumed): Promise<void> {
  for (const [topic, partitions] of Object.entries(consumed)) {
    const ends = await bus.ends(topic)
    for (const [partition, offset] of Object.entries(partitions)) {
      const end = ends[Number(partition)] ?? 0
      if (end > offset) continue
      throw new ServiceError(
        'log_inconsistent',
        `the bus is older than the log: ${topic}/${partition} ends at ${end}, and the log has had ${offset}`,
      )
    }
  }
}
