import type { OcsfEvent } from '@bailiwick/contracts'
import { exampleEvent } from '@bailiwick/contracts/examples'
import { logger, metrics } from '@bailiwick/host'
import { seededRandom, systemClock } from '@bailiwick/kit'
import { type Destination, Feed, type FeedOptions } from './feed.ts'
import type { Dropped, Position } from './feed-position.ts'
import type { FeedRecord } from './records.ts'

const decision = exampleEvent('evidence.v1', 'leaf.appended').data as OcsfEvent

/** A leaf as a feed passes it on. */
export function aRecord(index: number, change: Partial<OcsfEvent['metadata']> = {}): FeedRecord {
  const uid = `evt_${String(index).padStart(43, '0')}`
  const event: OcsfEvent = { ...decision, metadata: { ...decision.metadata, uid, sequence: index, ...change } }
  return { index, traceparent: undefined, event, json: JSON.stringify(event) }
}

export const records = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => aRecord(from + n))

/** A feed as from a log of the given size, but without a log. */
export function aFeed(
  destination: Destination,
  size: number,
  more: Partial<FeedOptions> & { at?: Position; codes?: string } = {},
) {
  const log = { size }
  const told: Dropped[] = []
  let position = more.at
  const meter = metrics({ service: 'feed-test', processMetrics: false })
  const feed = new Feed({
    destination,
    records: {
      get size() {
        return log.size
      },
      read: async (from, most) =>
        records(from, Math.min(log.size, from + most)).map((record) =>
          more.codes === undefined ? record : aRecord(record.index, { event_code: more.codes }),
        ),
    },
    position: {
      read: async () => position,
      write: async (next) => {
        position = structuredClone(next)
      },
    },
    tellDropped: async (_, dropped) => void told.push(dropped),
    metrics: meter,
    logger: logger({ service: 'feed-test', level: 'silent' }),
    random: seededRandom(1),
    monotonic: () => systemClock.monotonic(),
    paces: { positionMs: 0, tellMs: 0, leastWaitMs: 1, mostWaitMs: 4 },
    ...more,
  })
  const counted = async (name: string) =>
    Number(new RegExp(`^bailiwick_evidence_feed_${name}.* (\\S+)$`, 'm').exec(await meter.text())?.[1])
  return { feed, log, told, position: () => position, counted, text: () => meter.text() }
}

/** Waits until the condition becomes true by itself. */
export async function eventually(check: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await check())) await new Promise((resolve) => setTimeout(resolve, 5))
}
