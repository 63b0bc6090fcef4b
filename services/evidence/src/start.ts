import { join } from 'node:path'
import type { SigningKey, Trust } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { paths } from '@bailiwick/installation'
import { openParticipant } from '@bailiwick/projection'
import type { Adapters } from '@bailiwick/service-host'
import { after, newId } from '@bailiwick/service-kit'
import { encodeVkey, parseSkey, type SignerKey } from '@bailiwick/tlog'
import { CheckpointAnnouncer } from './announce.ts'
import type { EvidenceConfig } from './config.ts'
import { diskLogStorage } from './disk/disk-log-storage.ts'
import { checkpointRoutes, tileRoutes } from './http/log.ts'
import { traceRoute } from './http/trace.ts'
import { startIngest } from './ingest.ts'
import { Lag } from './lag.ts'
import { LeafIndex } from './leaf-index.ts'
import { Log } from './log.ts'
import { logReader } from './log-reader.ts'
import type { LogStorage } from './log-storage.ts'
import { Sequencer } from './sequencer.ts'
import { leafTopics, parkedTopics } from './topics.ts'
import { startWatch } from './watch.ts'

/** How long a stop waits for what is still on the bus, ms. */
const drainMs = 3000
const drainStepMs = 20

export interface EvidenceAdapters extends Adapters {
  /** `log` is the text of the log's key file: `PRIVATE+KEY+…`. */
  keys: { event: SigningKey<'evidence-event'>; log: string }
  /** Wraps the log's storage before anything uses it: faults in tests. */
  wrapStorage?: (storage: LogStorage) => LogStorage
}

export interface Evidence extends AsyncDisposable {
  /** Leaves under the published checkpoint. */
  size(): number
  /** Resolves with the event's leaf index once it is under a published checkpoint; rejects with `deadline_exceeded`. */
  integrated(eventId: string, ms: number): Promise<number>
}

/** Starts evidence: sole writer of the log. Disposing takes in what the bus holds, as far as a few seconds reach. */
export async function startEvidence(config: EvidenceConfig, adapters: EvidenceAdapters): Promise<Evidence> {
  const { bus, trust, keys, data, clock, random, logger, metrics, http, operator, onFatal } = adapters
  const at = paths(data)
  await using started = new AsyncDisposableStack()
  const key = logKey(keys.log, trust)
  const disk = await diskLogStorage({ log: at.log, dir: at.evidence })
  const storage = started.use(adapters.wrapStorage?.(disk) ?? disk)
  const log = await Log.open(storage, key)
  const index = started.use(await LeafIndex.open(join(at.evidence, 'index'), storage, log.checkpoint))
  const participant = started.use(
    await openParticipant({
      bus,
      trust,
      service: 'evidence',
      instance: config.instance,
      eventKey: keys.event,
      follows: ['findings.v1', ...parkedTopics],
      time: clock,
      newEventId: () => newId('evt', clock.now(), random),
      maxStalenessMs: config.maxStalenessMs,
      onFatal,
      onHeadError: (err) => logger.warn({ err }, 'a head could not be published'),
    }),
  )
  const announcer = started.use(
    new CheckpointAnnouncer(participant.producer, key.verifier.name, (error) =>
      logger.warn({ err: error }, 'a checkpoint was not announced'),
    ),
  )
  const sequencer: Sequencer = new Sequencer({
    log,
    index,
    monotonic: () => clock.monotonic(),
    onFatal,
    onPublished(checkpoint, leaves) {
      announcer.announce(checkpoint)
      watch.published(leaves)
    },
  })
  const lag = started.use(new Lag(bus, leafTopics, () => sequencer.consumed))
  const checkpoint = () => log.checkpoint
  const watch = started.use(startWatch({ ...adapters, participant, index, checkpoint, lag }))
  started.use(sequencer)
  const reader = logReader(storage, index, checkpoint)
  for (const server of [http, operator]) {
    checkpointRoutes(server, reader, trust.log.vkey)
    if (server === http && !config.logPublic) continue
    tileRoutes(server, reader)
    traceRoute(server, { keyRing: participant.keyRing, projection: participant.projection, index, reader, trust })
  }
  const parked = metrics.counter('evidence_parked_total', 'Messages that could not become leaves', ['topic'])
  const onParked = (topic: string) => {
    parked.inc({ topic })
    logger.warn({ topic }, 'parked')
  }
  started.use(await startIngest({ bus, participant, sequencer, index, onParked }))
  // Services stop one after the other, evidence last: what they said at the end still becomes evidence now.
  started.defer(() => caughtUp(lag, sequencer))
  const owned = started.move()
  return {
    size: () => log.checkpoint.size,
    integrated: (eventId, ms) => sequencer.integrated(eventId, ms),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** Resolves when the log has all that the bus has, or has had its time: the rest waits on the bus for the next start. */
async function caughtUp(lag: Lag, sequencer: Sequencer): Promise<void> {
  for (let waitedMs = 0; waitedMs < drainMs; waitedMs += drainStepMs) {
    const behind = await lag.measure().catch(() => 0)
    if (behind === 0 || sequencer.failed) return
    await after(drainStepMs)
  }
}

function logKey(skey: string, trust: Trust): SignerKey {
  const key = parseSkey(skey.trim())
  if (key === undefined) throw new ServiceError('config_invalid', 'the log key cannot be read')
  if (encodeVkey(key.verifier) !== trust.log.vkey) throw new ServiceError('trust_invalid', 'another key signs this log')
  return key
}
