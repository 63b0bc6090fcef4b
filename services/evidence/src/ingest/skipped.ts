import type { Bus, Message, Position } from '@bailiwick/bus'
import { lost } from '../log/assert-log-kept.ts'
import type { Sequencer } from '../log/sequencer.ts'
import type { LeafVerdict } from './judge-leaf.ts'

export interface SkippedOptions {
  bus: Pick<Bus, 'follow'>
  sequencer: Pick<Sequencer, 'consumed' | 'has'>
  judge: (message: Message) => Promise<LeafVerdict>
}

/**
 * Refuses (`log_inconsistent`) to continue at the bus's position if events before it are not leaves of this log. They were committed, so
 * they were leaves, and the log's files are an older copy (V2). Messages that needed no leaf (parked, or delivered twice) are exempt: the
 * files record such a place with the next leaf. Events that the bus no longer keeps are exempt too: they look the same as events that were
 * not read in time, which heads reveal (V15).
 */
export async function assertNoneSkipped({ bus, sequencer, judge }: SkippedOptions, next: Position): Promise<void> {
  const { topic, partition, offset: to } = next
  const from = (sequencer.consumed[topic]?.[partition] ?? -1) + 1
  if (to <= from) return
  let lacking: Message | undefined
  const isLacking = async (message: Message): Promise<boolean> =>
    message.partition === partition &&
    message.offset >= from &&
    message.offset < to &&
    !sequencer.has(message.bytes) &&
    (await judge(message)).kind === 'leaf'
  await using follower = await bus.follow([topic], 'start', async (batch) => {
    for (const message of batch) if (lacking === undefined && (await isLacking(message))) lacking = message
  })
  await Promise.race([follower.caughtUp, follower.failed])
  if (lacking !== undefined) throw lost(`it lacks ${topic}/${partition}/${lacking.offset}, which it has read`)
}
