import type { Producer } from '@bailiwick/instance'
import { unlessAborted, withDeadline } from '@bailiwick/kit'
import type { Destination } from './feed.ts'

/** How long a stop waits for the batch under way. */
const lastWordMs = 1000

/** `evidence.v1`: signed, in the order of the log. Readers fold it by id. Its leaves are never dropped. */
export const topicFeed = (producer: Pick<Producer, 'publish'>): Destination => ({
  name: 'evidence.v1',
  batch: 64,
  bound: Number.POSITIVE_INFINITY,
  async deliver(records, signal) {
    const drafts = records.map(({ index, event, traceparent }) => ({
      type: 'leaf.appended' as const,
      id: event.metadata.uid,
      subject: String(index),
      ...(traceparent === undefined ? {} : { traceparent }),
      data: event,
    }))
    const published = producer.publish('evidence.v1', drafts)
    await unlessAborted(published, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error
      // A bus that does not answer must not hold up a stop. If the batch still arrives, it has the same ids the next time.
      return withDeadline(published, lastWordMs)
    })
    return { taken: records.length }
  },
})
