import type { Bus } from '@bailiwick/bus'
import { sha256 } from '@bailiwick/credentials'

/** The last message that was read of a partition: its offset, -1 before the first, and the SHA-256 of its bytes. */
export interface Mark {
  offset: number
  /** Absent: the bus had removed that message before it could be read, or there was none. */
  hash?: string
}

/** By topic and partition. */
export type Marks = Readonly<Record<string, readonly Mark[]>>

/**
 * Whether the bus still has the history that these marks were made of. `ahead_of_bus`: it ends before a mark, as a bus does that went back to an
 * earlier state. `other_history`: where a mark stands, the bus has another message, or none any more.
 */
export async function compareHistory(
  bus: Pick<Bus, 'ends' | 'follow'>,
  marks: Marks,
): Promise<'same' | 'ahead_of_bus' | 'other_history'> {
  for (const [topic, partitions] of Object.entries(marks)) {
    const ends = await bus.ends(topic)
    if (partitions.some(({ offset }, partition) => offset >= (ends[partition] ?? 0))) return 'ahead_of_bus'
  }
  const wanted = new Map<string, Mark>()
  for (const [topic, partitions] of Object.entries(marks))
    for (const [partition, mark] of partitions.entries())
      if (mark.hash !== undefined) wanted.set(`${topic}/${partition}`, mark)
  if (wanted.size === 0) return 'same'
  const topics = Object.keys(marks).filter((topic) => marks[topic]?.some(({ hash }) => hash !== undefined))
  const offsets = Object.fromEntries(
    topics.map((topic) => [
      topic,
      (marks[topic] ?? []).map(({ offset, hash }) => (hash === undefined ? undefined : offset)),
    ]),
  )
  let isOther = false
  const found = Promise.withResolvers<void>()
  // Partitions without a mark are not read: nothing is as late as that time.
  const reading = await bus.follow(topics, { time: Number.MAX_SAFE_INTEGER, offsets }, async (batch) => {
    for (const { topic, partition, offset, bytes } of batch) {
      const name = `${topic}/${partition}`
      const mark = wanted.get(name)
      if (mark === undefined) continue
      // The first message of a partition: the one that is marked, if it is still there.
      wanted.delete(name)
      if (offset !== mark.offset || sha256(bytes) !== mark.hash) isOther = true
    }
    if (wanted.size === 0 || isOther) found.resolve()
  })
  try {
    reading.failed.catch(() => undefined) // raced below
    await Promise.race([found.promise, reading.caughtUp, reading.failed])
  } finally {
    await reading[Symbol.asyncDispose]()
  }
  return isOther || wanted.size > 0 ? 'other_history' : 'same'
}
