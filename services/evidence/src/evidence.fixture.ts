import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bus } from '@bailiwick/bus'
import type { Entity, EntityType, ServiceName } from '@bailiwick/contracts'
import { jcsHash, readKeyFile, type Trust } from '@bailiwick/credentials'
import { Health, type HttpServer, httpServer, logger, metrics } from '@bailiwick/host'
import { initialise, keyFileNames, paths, readGenesis } from '@bailiwick/installation'
import { type Draft, openParticipant, type Participant } from '@bailiwick/instance'
import { newId, systemClock, systemRandom } from '@bailiwick/kit'
import { fsck, openCheckpoint, parseVkey, type TreeHead, type VerifierKey } from '@bailiwick/tlog'
import type { EvidenceConfig } from './config.ts'
import { type Evidence, type EvidenceAdapters, startEvidence } from './start.ts'

const silent = logger({ service: 'evidence-test', level: 'silent' })
const eventPurposes = { issuer: 'issuer-event', approval: 'approval-event', 'policy-decision': 'pdp-event' } as const

/** An installation in a folder of its own, with its keys but without a service yet. */
export class Installed implements Disposable {
  readonly data = mkdtempSync(join(tmpdir(), 'evidence-'))
  readonly trust: Trust
  readonly log: VerifierKey

  constructor(entities: readonly { [T in EntityType]: { type: T; value: Entity<T> } }[EntityType][] = []) {
    this.trust = initialise({
      data: this.data,
      publicUrl: 'http://localhost:8420',
      singleOperator: true,
      now: systemClock.now(),
      randomBytes,
      policies: new Map([['all.cedar', Buffer.from('permit(principal, action, resource);')]]),
      entities,
    })
    this.log = parseVkey(this.trust.log.vkey) as VerifierKey
  }

  get at() {
    return paths(this.data)
  }

  /** A service's participant on the bus, which signs with the service's own key. */
  participant(bus: Bus, service: Exclude<ServiceName, 'evidence'>): Promise<Participant> {
    const purpose = eventPurposes[service]
    return openParticipant({
      bus,
      trust: this.trust,
      service,
      instance: newInstance(),
      eventKey: readKeyFile(this.at.keys(service), keyFileNames[purpose], purpose),
      follows: [],
      time: systemClock,
      newEventId: () => newId('evt', systemClock.now(), systemRandom),
      onHeadError: (error) => Promise.reject(error),
      onFatal: (error) => Promise.reject(error),
    })
  }

  /** Publishes the first registry, as the issuer does, and returns the issuer's participant. */
  async registered(bus: Bus): Promise<Participant> {
    const issuer = await this.participant(bus, 'issuer')
    const drafts = readGenesis(this.data).entities.map(({ type, id, value, jws }) => {
      if (type === 'service-key') issuer.keyRing.certify(value.certificate)
      const data = { entity: { type, id }, value, hash: jcsHash(value), authorization: { kind: 'root', jws } }
      return { type: `${type}.registered`, subject: `${type} ${id}`, version: 1, data } as Draft<'registry.v1'>
    })
    await issuer.producer.publish('registry.v1', drafts)
    return issuer
  }

  /** Starts evidence. `fatal` reports a failure of its log, which never ends the test's process. */
  async evidence(
    bus: Bus,
    options: Partial<EvidenceConfig> & Pick<EvidenceAdapters, 'wrapStorage'> = {},
    logKey = readFileSync(this.at.logKey, 'utf8'),
  ): Promise<Running> {
    const { wrapStorage, ...config } = options
    const health = new Health()
    const meter = metrics({ service: 'evidence', processMetrics: false })
    const server = () =>
      httpServer({ logger: silent, clock: systemClock, health, metrics: meter, random: systemRandom })
    const [http, operator] = [await server(), await server()]
    const fatal = Promise.withResolvers<unknown>()
    const evidence = await startEvidence(
      {
        instance: newInstance(),
        publicUrl: 'http://localhost:8420',
        maxStalenessMs: 2000,
        logPublic: true,
        sinks: { backlog: 1_000_000 },
        ...config,
      },
      {
        bus,
        trust: this.trust,
        data: this.data,
        keys: {
          event: readKeyFile(this.at.keys('evidence'), 'event', 'evidence-event'),
          log: logKey,
        },
        clock: systemClock,
        random: systemRandom,
        logger: silent,
        health,
        metrics: meter,
        http,
        operator,
        onFatal: fatal.resolve,
        ...(wrapStorage === undefined ? {} : { wrapStorage }),
      },
    )
    return Object.assign(evidence, { http, operator, health, fatal: fatal.promise })
  }

  /** The log's files, read as an outsider would: with only the vkey. */
  async verified(): Promise<Verified> {
    const opened = openCheckpoint(readFileSync(join(this.at.log, 'checkpoint')), { log: this.log })
    if (!opened.ok) throw new Error(opened.reason)
    const entries: string[] = []
    const result = await fsck({
      read: this.read,
      checkpoint: opened.checkpoint,
      onEntry: (_, entry) => void entries.push(Buffer.from(entry).toString()),
    })
    if (!result.ok) throw new Error(JSON.stringify(result))
    return { head: opened.checkpoint, entries }
  }

  readonly read = async (path: string): Promise<Uint8Array | undefined> => {
    const file = join(this.at.log, path)
    return existsSync(file) ? readFileSync(file) : undefined
  };

  [Symbol.dispose](): void {
    rmSync(this.data, { recursive: true, force: true })
  }
}

export type Running = Evidence & { http: HttpServer; operator: HttpServer; health: Health; fatal: Promise<unknown> }

export interface Verified {
  head: TreeHead
  /** The text of every leaf, in order, proved to be in the tree. */
  entries: string[]
}

const newInstance = () => newId('evt', systemClock.now(), systemRandom).slice(4)
