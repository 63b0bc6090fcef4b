import type { Bus } from '@bailiwick/bus'
import { ServiceError } from '@bailiwick/errors'
import type { Consumed } from './tree-head.ts'

/**
 * Refuses (`log_inconsistent`) a bus that ends before the messages that the log has read from it: it was restored to an earlier state,
 * or is another bus. Its readers would treat grants as alive that were revoked since, and nothing on the bus could correct them (V7).
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
