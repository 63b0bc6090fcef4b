import { join } from 'node:path'
import type { Bus } from '@bailiwick/bus'
import type { SigningKey, Trust } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { paths } from '@bailiwick/installation'
import { openParticipant } from '@bailiwick/projection'
import {
  type Clock,
  type Health,
  type HttpServer,
  type Logger,
  type Metrics,
  newId,
  type RandomSource,
} from '@bailiwick/service-kit'
import { encodeVkey, parseSkey, type SignerKey } from '@bailiwick/tlog'
import type { EvidenceConfig } from './config.ts'
import { diskLogStorage } from './disk/disk-log-storage.ts'
import { startIngest } from './ingest.ts'
import { LeafIndex } from './leaf-index.ts'
import { Log } from './log.ts'
import type { LogStorage } from './log-storage.ts'
import { Sequencer } from './sequencer.ts'
import { parkedTopics } from './topics.ts'

export interface EvidenceAdapters {
  bus: Bus
  trust: Trust
  /** `log` is the text of the log's key file: `PRIVATE+KEY+…`. */
  keys: { event: SigningKey<'evidence-event'>; log: string }
  /** The data directory; evidence writes below `evidence/` in it. */
  data: string
  clock: Clock
  random: RandomSource
  logger: Logger
  health: Health
  metrics: Metrics
  http: HttpServer
  /** For the CLI on this machine. */
  operator: HttpServer
  onFatal: (error: unknown) => void
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
  const { bus, trust, keys, data, clock, random, logger, onFatal } = adapters
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
    }),
  )
  const sequencer = started.use(new Sequencer({ log, index, monotonic: () => clock.monotonic(), onFatal }))
  const ingest = await startIngest({
    bus,
    participant,
    sequencer,
    index,
    onParked: (topic) => logger.warn({ topic }, 'parked'),
    onLeaf: () => undefined,
  })
  started.use(ingest)
  const owned = started.move()
  return {
    size: () => log.checkpoint.size,
    integrated: (eventId, ms) => sequencer.integrated(eventId, ms),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

function logKey(skey: string, trust: Trust): SignerKey {
  const key = parseSkey(skey.trim())
  if (key === undefined) throw new ServiceError('config_invalid', 'the log key cannot be read')
  if (encodeVkey(key.verifier) !== trust.log.vkey) throw new ServiceError('trust_invalid', 'another key signs this log')
  return key
}
