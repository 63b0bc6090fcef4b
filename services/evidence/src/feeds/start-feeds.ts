import { join } from 'node:path'
import type { Bus } from '@bailiwick/bus'
import { formatSequence } from '@bailiwick/contracts'
import type { Trust } from '@bailiwick/credentials'
import type { Logger, Metrics, SinksConfig } from '@bailiwick/host'
import { paths } from '@bailiwick/installation'
import type { Voice } from '@bailiwick/instance'
import { after, type Clock, type RandomSource } from '@bailiwick/kit'
import { findable } from '../index/findable.ts'
import type { LeafIndex } from '../index/leaf-index.ts'
import type { Log } from '../log/log.ts'
import type { LogReader } from '../log/log-reader.ts'
import type { LogStorage } from '../log/log-storage.ts'
import type { Sequencer } from '../log/sequencer.ts'
import { type Destination, Feed } from './feed.ts'
import { type Dropped, FeedPosition } from './feed-position.ts'
import { StoryTeller } from './ocsf/story-teller.ts'
import { Records } from './records.ts'
import { sinkDestinations } from './sinks.ts'
import { topicFeed } from './topic-feed.ts'

export interface FeedsOptions {
  bus: Bus
  data: string
  trust: Trust
  origin: string
  storage: Pick<LogStorage, 'read'>
  reader: LogReader
  index: LeafIndex
  log: Pick<Log, 'size'>
  sequencer: Pick<Sequencer, 'consumed' | 'busy'>
  participant: Pick<Voice, 'projection' | 'producer'>
  clock: Clock
  random: RandomSource
  logger: Logger
  metrics: Metrics
  sinks: SinksConfig
}

/** The topics of the events that a leaf may follow from. */
const causes = ['approvals.v1', 'grants.v1', 'decisions.v1'] as const
const lookEveryMs = 50
/** How long feeds wait for the beginning of a story while the log catches up with the bus, in ms. */
const patienceMs = 60_000

/** Starts the feeds: `evidence.v1` and the configured sinks, each from its last position. */
export function startFeeds(options: FeedsOptions): AsyncDisposable & { wake(): void } {
  const { data, trust, origin, storage, reader, index, participant, clock, random, logger, metrics } = options
  const stop = new AbortController()
  const stories = new StoryTeller({
    index,
    readLeaf: reader.leaf,
    projection: participant.projection,
    trust,
    caughtUp: () => caughtUp(options, stop.signal),
  })
  const records = new Records({ storage, checkpoint: reader.checkpoint, stories, index, trust, origin })
  const folder = join(paths(data).evidence, 'feeds')
  const start = (destination: Destination) =>
    new Feed({
      destination,
      records,
      position: new FeedPosition(folder, destination.name, origin),
      tellDropped: (name, dropped) => tellDropped(name, dropped, options),
      metrics,
      logger,
      random,
      monotonic: () => clock.monotonic(),
    })
  const sinks = sinkDestinations(options.sinks, { installation: trust.installation, origin, clock })
  const feeds = [topicFeed(participant.producer), ...sinks].map(start)
  return {
    wake() {
      for (const feed of feeds) feed.wake()
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await Promise.all(feeds.map((feed) => feed[Symbol.asyncDispose]()))
    },
  }
}

/** Resolves once the log has every event on the bus that a leaf may follow from, or after a minute at the latest. */
async function caughtUp({ bus, log, sequencer, index, clock }: FeedsOptions, signal: AbortSignal): Promise<void> {
  const until = clock.monotonic() + patienceMs
  const ends = await Promise.all(causes.map(async (topic) => ({ topic, ends: await bus.ends(topic) })))
  const isRead = () =>
    ends.every(({ topic, ends: of }) =>
      of.every((end, partition) => (sequencer.consumed[topic]?.[partition] ?? -1) >= end - 1),
    )
  while (!isRead() && clock.monotonic() < until) await after(lookEveryMs, signal)
  const isFound = findable({ log, index, sequencer })
  while (!isFound() && clock.monotonic() < until) await after(lookEveryMs, signal)
}

/** Reports dropped leaves once. The report is in the log, so the next start knows it too. */
async function tellDropped(sink: string, dropped: Dropped, { index, participant }: FeedsOptions): Promise<void> {
  const { reason, from, to, count } = dropped
  const subject = `${sink}#${reason}/${formatSequence(from)}-${formatSequence(to)}`
  if (sink === 'evidence.v1' || index.isTold(subject)) return
  const data = { sink: sink as 'otlp' | 'file', reason, from, to, count }
  await participant.producer.publish('findings.v1', [{ type: 'leaves.dropped', subject, key: sink, data }])
}
