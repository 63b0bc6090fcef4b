import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bus } from '@bailiwick/bus'
import type { EventData, EventTypeOf, TopicName } from '@bailiwick/contracts'
import { type EventPurpose, readKeyFile, type SigningKey, type Trust } from '@bailiwick/credentials'
import type { GrantStore } from '@bailiwick/grant-store'
import { Health, type HttpServer, httpServer, logger as makeLogger, metrics as makeMetrics } from '@bailiwick/host'
import {
  type Genesis,
  type InitialEntities,
  initialise,
  type PolicyFiles,
  paths,
  readGenesis,
  readPolicyFiles,
} from '@bailiwick/installation'
import { openParticipant, type Participant } from '@bailiwick/instance'
import { type StartedIssuer, startIssuer } from '@bailiwick/issuer/start'
import { newId, systemClock, systemRandom } from '@bailiwick/kit'
import type { PolicyDecisionConfig } from '@bailiwick/policy-decision/config'
import { type PolicyDecision, type PolicyDecisionAdapters, startPolicyDecision } from '@bailiwick/policy-decision/start'
import { sampleEntities } from '@bailiwick/standalone/sample'
import { freePort } from '@bailiwick/testkit'
import { openAdapters } from './adapters-under-test.ts'

type Entities = InitialEntities

export interface WorldOptions {
  entities?: (sample: Entities) => Entities
  policies?: PolicyFiles
  /** Each service sees the bus through its own wrapper. */
  issuerBus?: (bus: Bus) => Bus
  pdpBus?: (bus: Bus) => Bus
  grantStore?: (store: GrantStore) => GrantStore
  genesis?: (genesis: Genesis) => Genesis
  credentialKey?: (key: SigningKey<'credential'>) => SigningKey<'credential'>
  issuer?: { maxStalenessMs?: number; keyRotationDays?: number; publicUrl?: string }
  pdp?: Partial<Omit<PolicyDecisionConfig, 'instance' | 'publicUrl'>>
  agentCallsPerSecond?: number
  wrapRecord?: NonNullable<PolicyDecisionAdapters['wrapRecord']>
}

/** The events on a topic. */
export type Seen<N extends TopicName> = {
  [E in EventTypeOf<N>]: { type: E; version?: number; data: EventData<N, E> }
}[EventTypeOf<N>] & { id: string; source: string; subject: string }

/** Generous, because other tests use the same machine; a test about a deadline sets its own. */
const patient = { decisionDeadlineMs: 10_000, maxStalenessMs: 15_000 }

const policiesOf = () => readPolicyFiles(join(import.meta.dirname, '../../policies'))

/**
 * Issuer and policy decision on a real bus and grant store, disposed with the world. Approval is a participant that
 * signs with approval's own key, so that tests can publish what a stolen approval service could.
 */
export class World implements AsyncDisposable {
  readonly data = mkdtempSync(join(tmpdir(), 'bailiwick-world-'))
  readonly logger = makeLogger({ service: 'world', level: 'silent' })
  readonly random = systemRandom
  /** The errors of services that could not go on. */
  readonly fatal: unknown[] = []
  /** How far the machine's clock is ahead, in ms. */
  ahead = 0
  readonly clock = { now: () => systemClock.now() + this.ahead, monotonic: () => systemClock.monotonic() }
  readonly options: WorldOptions
  readonly url: string
  readonly trust: Trust
  readonly bus: Bus
  readonly store: GrantStore
  approval!: Participant
  http!: HttpServer
  operator!: HttpServer
  pdp!: PolicyDecision
  issuer: StartedIssuer | undefined
  readonly #owned = new AsyncDisposableStack()
  #issuers = 0

  private constructor(options: WorldOptions, made: { url: string; open: (world: World) => [Bus, GrantStore] }) {
    this.options = options
    this.url = made.url
    const entities = sampleEntities(this.data)
    this.trust = initialise({
      data: this.data,
      publicUrl: this.url,
      singleOperator: true,
      now: this.clock.now(),
      randomBytes,
      policies: options.policies ?? policiesOf(),
      entities: options.entities?.(entities) ?? entities,
    })
    const [bus, store] = made.open(this)
    this.bus = bus
    this.store = store
  }

  /** Only the bus and the store: the test starts the services. */
  static async empty(options: WorldOptions = {}): Promise<World> {
    const url = `http://localhost:${await freePort()}`
    let ahead = () => 0
    const adapters = await openAdapters(() => ahead())
    const { bus, store } = adapters
    const world = new World(options, { url, open: () => [bus, options.grantStore?.(store) ?? store] })
    ahead = () => world.ahead
    world.#owned.defer(() => rmSync(world.data, { recursive: true, force: true }))
    world.#owned.use(adapters)
    world.http = await world.#server()
    world.operator = await world.#server()
    return world
  }

  /** Starts the issuer and the decision point, and opens the participant that stands for approval. */
  static async open(options: WorldOptions = {}): Promise<World> {
    const world = await World.empty(options)
    await world.startIssuer()
    world.pdp = await world.startPdp()
    world.approval = await world.participant('approval', 'approval-event')
    return world
  }

  async #server(): Promise<HttpServer> {
    const { logger, clock } = this
    const server = await httpServer({ logger, clock, health: new Health(), metrics: this.#metrics() })
    this.#owned.defer(() => server.close())
    return server
  }

  #metrics() {
    return makeMetrics({ service: 'world', processMetrics: false })
  }

  key<P extends EventPurpose | 'credential' | 'permit' | 'binding-token' | 'notification'>(
    service: string,
    name: string,
    purpose: P,
  ) {
    return readKeyFile(paths(this.data).keys(service), name, purpose)
  }

  #adapters(http: HttpServer, operator: HttpServer) {
    const { trust, data, clock, random, logger } = this
    const onFatal = (error: unknown) => void this.fatal.push(error)
    return {
      trust,
      data,
      clock,
      random,
      logger,
      health: new Health(),
      metrics: this.#metrics(),
      http,
      operator,
      onFatal,
    }
  }

  /** The first instance uses the world's own servers, later ones use new ones. */
  async startIssuer(bus: Bus = this.options.issuerBus?.(this.bus) ?? this.bus): Promise<StartedIssuer> {
    if (this.#issuers++ > 0) {
      this.http = await this.#server()
      this.operator = await this.#server()
    }
    const genesis = readGenesis(this.data)
    const credential = this.key('issuer', 'credential', 'credential')
    const started = await startIssuer(
      {
        ...{
          instance: this.#instance(),
          publicUrl: this.url,
          credentialSeconds: 300,
          maxStalenessMs: patient.maxStalenessMs,
        },
        ...this.options.issuer,
        // In a test, one agent may make as many calls as many agents would elsewhere.
        agentCallsPerSecond: this.options.agentCallsPerSecond ?? 10_000,
      },
      {
        ...this.#adapters(this.http, this.operator),
        bus,
        genesis: this.options.genesis?.(genesis) ?? genesis,
        keys: {
          event: this.key('issuer', 'event', 'issuer-event'),
          credential: this.options.credentialKey?.(credential) ?? credential,
        },
      },
    )
    this.#owned.use(once(started))
    this.issuer = started
    return started
  }

  async startPdp(
    bus: Bus = this.options.pdpBus?.(this.bus) ?? this.bus,
    grantStore: GrantStore = this.store,
  ): Promise<PolicyDecision & { http: HttpServer }> {
    const [http, operator] = this.pdp ? [await this.#server(), await this.#server()] : [this.http, this.operator]
    const started = await startPolicyDecision(
      { instance: this.#instance(), publicUrl: this.url, ...patient, ...this.options.pdp },
      {
        ...this.#adapters(http, operator),
        bus,
        grantStore,
        keys: {
          event: this.key('policy-decision', 'event', 'pdp-event'),
          permit: this.key('policy-decision', 'permit', 'permit'),
          bindingToken: this.key('policy-decision', 'binding-token', 'binding-token'),
        },
        ...(this.options.wrapRecord ? { wrapRecord: this.options.wrapRecord } : {}),
      },
    )
    this.#owned.use(once(started))
    return Object.assign(started, { http })
  }

  /** Publishes with a service's own key, as that service, or a thief of the key, could. */
  async participant(service: 'approval' | 'issuer' | 'policy-decision', purpose: EventPurpose): Promise<Participant> {
    const { bus, trust, clock } = this
    const participant = await openParticipant({
      bus,
      trust,
      service,
      instance: this.#instance(),
      eventKey: this.key(service, 'event', purpose),
      follows: ['approvals.v1', 'grants.v1', 'revocations.v1', 'decisions.v1'],
      time: clock,
      newEventId: () => newId('evt', clock.now(), this.random),
      onHeadError: () => undefined, // as in services: the next head comes half a second later
      onFatal: (error) => void this.fatal.push(error),
    })
    this.#owned.use(once(participant))
    return participant
  }

  #instance(): string {
    return newId('evt', this.clock.now(), this.random).slice('evt_'.length)
  }

  /** All events of a topic, in its order within each partition. */
  async events<N extends TopicName>(topic: N): Promise<Seen<N>[]> {
    const seen: Seen<N>[] = []
    await using follower = await this.bus.follow([topic], 'start', async (batch) => {
      for (const { bytes } of batch) seen.push(JSON.parse(Buffer.from(bytes).toString()) as Seen<N>)
    })
    await follower.caughtUp
    return seen
  }

  /** Every revocation that was declared. The event that acknowledges it follows on the same topic. */
  async revocations(): Promise<Extract<Seen<'revocations.v1'>, { type: 'revocation.declared' }>[]> {
    return (await this.events('revocations.v1')).filter((seen) => seen.type === 'revocation.declared')
  }

  /**
   * Returns the answer's status. With `waitMs`, the answer comes once every live instance has applied the revocation,
   * and after that time at the latest: V7 lets instances lag behind.
   */
  async revoke(kind: string, target: string, waitMs?: number): Promise<number> {
    const answer = await this.operator.inject({
      method: 'POST',
      url: '/operator/revocations',
      payload: { kind, target, ...(waitMs === undefined ? {} : { wait_ms: waitMs }) },
    })
    return answer.statusCode
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync()
  }
}

/** Disposed by the test or by the world, whichever comes first. */
function once(resource: AsyncDisposable): AsyncDisposable {
  const dispose = resource[Symbol.asyncDispose].bind(resource)
  let done: Promise<void> | undefined
  const only = () => {
    done ??= Promise.resolve(dispose())
    return done
  }
  resource[Symbol.asyncDispose] = only
  return { [Symbol.asyncDispose]: only }
}

/** Repeats the check until it returns something. A busy machine is slow; the limit only ends a wait that is in vain. */
export async function eventually<T>(check: () => T | undefined | Promise<T | undefined>, ms = 60_000): Promise<T> {
  for (const end = systemClock.monotonic() + ms; ; ) {
    const found = await check()
    if (found !== undefined && found !== false) return found
    if (systemClock.monotonic() > end) throw new Error('it did not happen')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
