import { join } from 'node:path'
import { termOf } from '@bailiwick/contracts'
import type { SinksConfig } from '@bailiwick/host'
import type { Adapters } from '@bailiwick/host/process'
import { paths } from '@bailiwick/installation'
import type { Voice } from '@bailiwick/instance'
import { after, ensureDir, inBackground } from '@bailiwick/kit'
import type { Policy, SignerKey } from '@bailiwick/tlog'
import { startFeeds } from './feeds/start-feeds.ts'
import { Lag } from './findings/lag.ts'
import { ToldOutcomes } from './findings/told-outcomes.ts'
import { startWatch } from './findings/watch.ts'
import { watchOutcomes } from './findings/watch-outcomes.ts'
import { watchPolicies } from './findings/watch-policies.ts'
import { findable } from './index/findable.ts'
import type { LeafIndex } from './index/leaf-index.ts'
import { startIngest } from './ingest/ingest.ts'
import { attachmentTopics, leafTopics } from './ingest/topics.ts'
import { CheckpointAnnouncer } from './log/announce.ts'
import { assertBusKept } from './log/assert-bus-kept.ts'
import { assertLogKept } from './log/assert-log-kept.ts'
import type { Published } from './log/log.ts'
import { type LogReader, logReader } from './log/log-reader.ts'
import type { LogStorage } from './log/log-storage.ts'
import { openLogWriter } from './log/log-writer.ts'
import type { Sequencer } from './log/sequencer.ts'
import { witnessedBy } from './witnesses/witnessed-by.ts'
import { eraseAllTold, eraseAsTold } from './words/erase-as-told.ts'
import { sweepValues } from './words/sweep-values.ts'
import { takeValues } from './words/take-values.ts'
import { ValueStore } from './words/value-store.ts'

/** How long a stop waits for messages that are still on the bus, in ms. */
const drainMs = 3000
const drainStepMs = 20

/** The log while this instance writes it. */
export interface KeptLog extends AsyncDisposable {
  index: LeafIndex
  reader: LogReader
  sequencer: Sequencer
  told: ToldOutcomes
  values: ValueStore
}

/**
 * Opens the log and takes everything on the bus into it. The steps are the same whether the last writer stopped properly or died in the
 * middle of a write. Throws `log_inconsistent` for a log or a bus that lost something. Disposing takes in what the bus still holds, for a
 * few seconds at most.
 */
export async function keepLog(
  storage: LogStorage,
  key: SignerKey,
  voice: Voice,
  adapters: Adapters & { policy?: Policy | undefined; sinks: SinksConfig },
): Promise<KeptLog> {
  const { bus, trust, data, clock, logger, metrics, policy, onFatal } = adapters
  await using started = new AsyncDisposableStack()
  const announcer = started.use(
    new CheckpointAnnouncer(voice.producer, key.verifier.name, (error) =>
      logger.warn({ err: error }, 'a checkpoint was not announced'),
    ),
  )
  const announce = (published: Published) => announcer.announce(published)
  const witnessed = policy && started.use(witnessedBy({ ...adapters, policy, storage, key, onPublished: announce }))
  const writer = started.use(
    await openLogWriter({
      storage: witnessed?.storage ?? storage,
      key,
      clock,
      index: join(paths(data).evidence, 'index'),
      onFatal,
      onPublished(published, leaves) {
        if (witnessed === undefined) announce(published)
        watch.published(leaves)
        feeds.wake()
      },
    }),
  )
  const { log, index, sequencer } = writer
  await assertBusKept(bus, log.consumed)
  await assertLogKept({ bus, storage, key: key.verifier, now: clock.now() }, log.checkpoint)
  witnessed?.begin(log.checkpoint)
  const checkpoint = () => witnessed?.published ?? log.checkpoint
  const lag = started.use(new Lag(bus, leafTopics, () => sequencer.consumed))
  const watch = started.use(startWatch({ ...adapters, participant: voice, index, checkpoint, lag }))
  started.use(watchOutcomes({ ...adapters, participant: voice, index, lag }))
  // Stop the sequencer before the watch, which is called for every batch that is written.
  started.defer(() => sequencer[Symbol.asyncDispose]())
  const reader = logReader(storage, index, checkpoint, () => witnessed?.witnessed)
  const origin = key.verifier.name
  const feeds = started.use(startFeeds({ ...adapters, participant: voice, origin, storage, reader, ...writer }))
  started.use(watchPolicies({ data, participant: voice, index, logger }))
  const parked = metrics.counter('evidence_parked_total', 'Messages that could not become leaves', ['topic'])
  // Prometheus sees no increase in a series that first appears with 1, so the first parked message would go unnoticed.
  for (const topic of leafTopics) parked.inc({ topic }, 0)
  const onParked = (topic: string) => {
    parked.inc({ topic })
    logger.warn({ topic }, 'parked')
  }
  const refused = metrics.counter('evidence_registry_refused_total', 'Unauthorised changes of the registry')
  const onRefused = (type: string) => {
    refused.inc()
    logger.error({ type }, 'AN UNAUTHORISED CHANGE OF THE REGISTRY')
  }
  const values = await ValueStore.open(join(paths(data).evidence, 'values'), attachmentTopics)
  await eraseAllTold(index, reader.leaf, values)
  started.use(inBackground(eraseAsTold({ bus, participant: voice, values, onFatal }), onFatal))
  const toldDir = join(paths(data).evidence, 'told')
  await ensureDir(toldDir)
  const told = started.use(
    new ToldOutcomes({
      dir: toldDir,
      trust,
      participant: voice,
      reported: (decisionId) => reportedOf(decisionId, index, reader),
      outcomeUnder: (instance, sequence) => index.outcomeUnder(instance, sequence),
      isTold: (name) => index.isTold(name),
      findable: () => findable(writer),
      lag,
      clock,
      logger,
      metrics,
    }),
  )
  const onOutcomeRefused = async (jws: string) => {
    try {
      const [error] = await told.tell([jws])
      if (error) throw error
    } catch (err) {
      logger.error({ err }, 'a refused outcome was not looked at')
    }
  }
  const ingest = startIngest({
    bus,
    participant: voice,
    sequencer,
    index,
    onParked,
    onRefused,
    onOutcomeRefused,
    onFatal,
  })
  started.use(inBackground(ingest, onFatal))
  started.use(inBackground(takeValues({ bus, participant: voice, values, index }), onFatal))
  started.use(sweepValues({ values, index, lag, findable: () => findable(writer), clock, logger }))
  // Services stop one after the other, evidence last, so the last events of the others still become evidence here.
  started.defer(() => caughtUp(lag, sequencer))
  const owned = started.move()
  return {
    index,
    reader,
    sequencer,
    told,
    values,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** The outcomes that the decision point reported for a decision: one, or more if it misbehaves; and the outcomes that it refused. */
async function reportedOf(decisionId: string, index: LeafIndex, reader: LogReader): Promise<Uint8Array[]> {
  const query = {
    each: [[termOf('id', decisionId)], [termOf('type', 'outcome.reported'), termOf('type', 'outcome.refused')]],
  }
  const found = index.find(query, 100).leaves
  const leaves = await Promise.all(found.map((place) => reader.leaf(place.index)))
  return leaves.filter((leaf) => leaf !== undefined)
}

/** Resolves when the log has all that the bus has, or when the time is over. The rest waits on the bus for the next start. */
async function caughtUp(lag: Lag, sequencer: Sequencer): Promise<void> {
  for (let waitedMs = 0; waitedMs < drainMs; waitedMs += drainStepMs) {
    const behind = await lag.measure().catch(() => 0)
    if (behind === 0 || sequencer.failed) return
    await after(drainStepMs)
  }
}
