import { readSecretFile, type SigningKey, type Trust } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { observeProjection, showStanding } from '@bailiwick/host'
import type { Adapters, Host } from '@bailiwick/host/process'
import { paths } from '@bailiwick/installation'
import { openSuccessor } from '@bailiwick/instance'
import { newId } from '@bailiwick/kit'
import { encodeVkey, parseSkey, type SignerKey } from '@bailiwick/tlog'
import type { EvidenceConfig } from './config.ts'
import { assertSinks } from './feeds/sinks.ts'
import { bundleRoute } from './http/bundle.ts'
import { checkpointRoutes, closedTileRoutes, tileRoutes } from './http/log.ts'
import { outcomesRoute } from './http/outcomes.ts'
import { admitAll, Readers } from './http/readers.ts'
import { rereadRoutes } from './http/reread.ts'
import { everything, Sending } from './http/sending.ts'
import { traceRoutes } from './http/trace.ts'
import { valuesRoute } from './http/values.ts'
import { parkedTopics } from './ingest/topics.ts'
import { type KeptLog, keepLog } from './keep-log.ts'
import { diskLogStorage } from './log/disk/disk-log-storage.ts'
import type { LogStorage } from './log/log-storage.ts'
import { readPolicy } from './witnesses/read-policy.ts'

export interface EvidenceAdapters extends Adapters {
  /** `log` is the text of the log's key file: `PRIVATE+KEY+…`. */
  keys: { event: SigningKey<'evidence-event'>; log: string }
  /** Wraps the log's storage before its first use, so that tests can inject faults. */
  wrapStorage?: (storage: LogStorage) => LogStorage
}

/** The keys of evidence, from the data directory. */
export const evidenceKeys = ({ key, data }: Pick<Host, 'key' | 'data'>): EvidenceAdapters['keys'] => ({
  event: key('evidence', 'event', 'evidence-event'),
  log: readSecretFile(paths(data).logKey).toString(),
})

export interface Evidence extends AsyncDisposable {
  /** Leaves under the published checkpoint. Throws `service_standby` while another instance writes the log. */
  size(): number
  /**
   * Resolves with the event's leaf index once it is under a published checkpoint; rejects with `deadline_exceeded`, and with
   * `service_standby` while another instance writes the log.
   */
  integrated(eventId: string, ms: number): Promise<number>
}

/**
 * Starts evidence, the only writer of the log. One instance writes: this one, once this resolves, unless another instance does. A second
 * instance stands by until it is the active one and has the lock of the log's folder, which a suspended process keeps until it is dead.
 * Disposing takes in what the bus still holds, for a few seconds at most.
 */
export async function startEvidence(config: EvidenceConfig, adapters: EvidenceAdapters): Promise<Evidence> {
  const { bus, trust, keys, data, clock, random, logger, health, metrics, http, operator, onFatal } = adapters
  const at = paths(data)
  const key = logKey(keys.log, trust)
  const policy = config.witnessPolicy === undefined ? undefined : readPolicy(config.witnessPolicy, key.verifier)
  await assertSinks(config.sinks)
  const { onStanding, gate } = showStanding('evidence', { health, metrics, logger })
  await using started = new AsyncDisposableStack()
  let storage: LogStorage | undefined
  let kept: KeptLog | undefined
  const successor = started.use(
    await openSuccessor({
      bus,
      trust,
      service: 'evidence',
      instance: config.instance,
      eventKey: keys.event,
      onKeyMissing: (missing) => logger.error(missing, 'A KEY IS MISSING HERE'),
      follows: ['findings.v1', ...parkedTopics],
      time: clock,
      newEventId: () => newId('evt', clock.now(), random),
      maxStalenessMs: config.maxStalenessMs,
      onFatal,
      onHeadError: (err) => logger.warn({ err }, 'a head could not be published'),
      onStanding,
      async hold() {
        const disk = await diskLogStorage({ log: at.log, dir: at.evidence })
        storage = adapters.wrapStorage?.(disk) ?? disk
        return storage
      },
    }),
  )
  const log = () => {
    if (kept === undefined) throw new ServiceError('service_standby', successor.standby())
    return kept
  }
  const reader = () => log().reader
  const view = () => {
    const { index, reader: read } = log()
    return { index, readLeaf: read.leaf, registry: successor.projection.ledger.registry }
  }
  const readers = new Readers({
    ...{ clock, audience: key.verifier.name, logPublic: config.logPublic },
    auditorKey: (id) => successor.projection.ledger.registry.get('auditor', id)?.jwk,
  })
  for (const [server, admit, sending] of [
    [http, readers.read, new Sending()],
    [operator, admitAll, new Sending(everything)],
  ] as const) {
    checkpointRoutes(server, reader, trust.log.vkey)
    if (server === operator || config.logPublic) tileRoutes(server, reader, { read: admit, sending })
    else closedTileRoutes(server)
    traceRoutes(server, admit, { ...successor, log, trust })
    // Outsiders and auditors read the log. The values behind its salted hashes are only available on the operator's socket.
    const values = () => (server === operator ? log().values : undefined)
    bundleRoute(server, admit, () => {
      const { keyRing } = successor
      const { reader: read } = log()
      return { ...view(), readTile: read.tile, checkpoint: read.vouched(), trust, keyRing, values: values() }
    })
  }
  valuesRoute(operator, () => ({ log: view(), values: log().values }))
  rereadRoutes(operator, data, () => successor.projection.ledger.registry.policySet?.hash)
  outcomesRoute(http, () => log().told)
  gate(successor.standby)
  observeProjection('evidence', successor.projection, { metrics, clock, producer: successor.producer })
  await successor.standBy(async () => {
    if (storage === undefined) throw new ServiceError('invariant_broken', 'the active one has the lock')
    readers.begin({ isFirst: (await storage.readHead()) === undefined })
    kept = await keepLog(storage, key, successor, { ...adapters, policy, sinks: config.sinks })
    return kept
  })
  const owned = started.move()
  return {
    size: () => log().reader.checkpoint().size,
    integrated: async (eventId, ms) => log().sequencer.integrated(eventId, ms),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

function logKey(skey: string, trust: Trust): SignerKey {
  const key = parseSkey(skey.trim())
  if (key === undefined) throw new ServiceError('config_invalid', 'the log key cannot be read')
  if (encodeVkey(key.verifier) !== trust.log.vkey) throw new ServiceError('trust_invalid', 'another key signs this log')
  return key
}
