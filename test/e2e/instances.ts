import { join } from 'node:path'
import { createAgent } from '@bailiwick/agent'
import { approvalKeys, startApproval } from '@bailiwick/approval/start'
import { type Bus, type FaultyBus, faultyBus } from '@bailiwick/bus'
import type { ServiceName } from '@bailiwick/contracts'
import { generateKey, type SigningKey, writeKeyFile } from '@bailiwick/credentials'
import { evidenceKeys, startEvidence } from '@bailiwick/evidence/start'
import type { GrantStore } from '@bailiwick/grant-store'
import { commonSettings, type Metrics, logger as makeLogger, metrics as makeMetrics, readConfig } from '@bailiwick/host'
import { type Host, openHost } from '@bailiwick/host/process'
import { paths, readGenesis } from '@bailiwick/installation'
import { issuerKeys, startIssuer } from '@bailiwick/issuer/start'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { policyDecisionKeys, startPolicyDecision } from '@bailiwick/policy-decision/start'
import { sample, sampleAgentId, sampleAuthority, sampleKey } from '@bailiwick/standalone/sample'
import { type Approver, enrolApprover, freePort, openFront, type Place, preparePlace } from '@bailiwick/testkit'
import { z } from 'zod'
import { audit } from '../audit.ts'
import { type InvoicesApi, startInvoicesApi } from '../demo/invoices-api.ts'
import { openAdapters } from './adapters-under-test.ts'
import { eventually } from './world.ts'

const logger = makeLogger({ service: 'instances', level: 'silent' })
const counts: Record<ServiceName, number> = { issuer: 2, evidence: 2, 'policy-decision': 1, approval: 2 }
const topics = ['access-requests.v1', 'approvals.v1', 'registry.v1', 'grants.v1', 'revocations.v1', 'heads.v1']

/** A service as one of several processes would run it, in this process. */
export interface Instance {
  service: ServiceName
  host: Host
  metrics: Metrics
  /** The reasons for which it asked its process to end. */
  fatal: unknown[]
  acts(): boolean
  /** From now on it receives nothing, and nothing that it sends arrives, as if the process were stopped or cut off. */
  cut(): void
  mend(): void
  /** Cuts it off when it is about to publish this text. */
  cutBefore(text: string): void
  /** An orderly stop. */
  stop(): Promise<void>
}

/**
 * Two instances of each service that has one active instance, on one bus and behind one address; a person, an agent,
 * and its tools.
 */
export class Instances implements AsyncDisposable {
  readonly place: Place
  readonly all: readonly Instance[]
  readonly #bus: Bus
  readonly #owned: AsyncDisposableStack
  approver!: Approver
  invoices!: InvoicesApi

  private constructor(place: Place, bus: Bus, all: readonly Instance[], owned: AsyncDisposableStack) {
    this.place = place
    this.all = all
    this.#bus = bus
    this.#owned = owned
  }

  static async open(): Promise<Instances> {
    await using started = new AsyncDisposableStack()
    const auditor = generateKey('auditor')
    const place = await preparePlace({ entities: (sample) => [...sample, consoleReader(auditor)] })
    writeKeyFile(paths(place.data).keys('approval'), 'auditor', auditor)
    started.defer(() => place.leave())
    const { bus, store } = started.use(await openAdapters())
    const all: Instance[] = []
    const urls: Record<ServiceName, string[]> = { issuer: [], evidence: [], 'policy-decision': [], approval: [] }
    for (const [service, count] of Object.entries(counts) as [ServiceName, number][])
      for (let n = 0; n < count; n++) {
        const port = await freePort()
        const instance = await startInstance(service, { place, port, bus, store })
        started.defer(() => instance.stop())
        urls[service].push(`http://localhost:${port}`)
        all.push(instance)
      }
    const front = started.use(await openFront(place.port, urls))
    await front.ready(60_000)
    const instances = new Instances(place, bus, all, started.move())
    instances.approver = await enrolApprover(place)
    instances.invoices = await startInvoicesApi(place, { evidenceUrl: place.url, timeoutMs: 12_000 })
    instances.#owned.use(instances.invoices)
    return instances
  }

  of(service: ServiceName): readonly Instance[] {
    return this.all.filter((instance) => instance.service === service)
  }

  active(service: ServiceName): Instance {
    const [active, ...more] = this.of(service).filter((instance) => instance.acts())
    if (active === undefined || more.length > 0) throw new Error(`${more.length} more than one ${service} act`)
    return active
  }

  standby(service: ServiceName): Instance {
    const standby = this.of(service).find((instance) => !instance.acts())
    if (standby === undefined) throw new Error(`no ${service} stands by`)
    return standby
  }

  agent() {
    const { data, trust } = this.place
    return createAgent({
      agentId: sampleAgentId('reconciler'),
      instance: sample.instance,
      key: sampleKey(data, 'reconciler'),
      installation: trust.installation,
      baseUrl: trust.public_url,
      now: () => systemClock.now(),
      random: systemRandom,
    })
  }

  /** The agent made a request that has no answer yet. */
  async ask(): Promise<string> {
    const agent = this.agent()
    const signed = agent.signRequest({ authority: sampleAuthority, mode: 'window', expiresInSeconds: 600 })
    return (await patiently(() => agent.request(signed))).requestId
  }

  /**
   * The rest of the story: approved, minted, called. Waits where a service says so; signs in again, because sessions
   * end with their instance.
   */
  async story(asked?: string): Promise<{ requestId: string; grantId: string; call: () => Promise<string> }> {
    const agent = this.agent()
    const requestId = asked ?? (await this.ask())
    const grantId = await patiently(async () => {
      const known = await agent.status(requestId)
      if (known.status === 'approved' && known.grantId !== undefined) return known.grantId
      const { grant_id } = await this.approver.approve(requestId).catch(async (error) => {
        await this.approver.signIn()
        throw error
      })
      if (grant_id === undefined) throw new Error('not yet')
      return grant_id
    })
    const call = async () => {
      const response = await agent.fetch(
        `${this.place.invoicesUrl}/read`,
        { method: 'POST' },
        {
          grant: { grantId },
          action: 'tools/call',
          resource: { type: 'tool', id: `${sample.toolServer}/read` },
          properties: { invoice: 'INV-1' },
        },
      )
      const { code = 'ok' } = (await response.json()) as { code?: string }
      return code
    }
    await patiently(async () => {
      const said = await call()
      if (said !== 'ok') throw new Error(said)
      return said
    })
    return { requestId, grantId, call }
  }

  /** Every event of a topic, as text. */
  async events(
    topic: string,
  ): Promise<{ type: string; source: string; subject: string; data: Record<string, unknown> }[]> {
    const seen: string[] = []
    await using follower = await this.#bus.follow([topic], 'start', async (batch) => {
      for (const { bytes } of batch) seen.push(Buffer.from(bytes).toString())
    })
    await follower.caughtUp
    return seen.map((text) => JSON.parse(text))
  }

  /** Stops everything in order, and lets the auditor read the log. */
  async close(): Promise<Awaited<ReturnType<typeof audit>>> {
    for (const instance of this.all.toReversed()) if (instance.service !== 'evidence') await instance.stop()
    for (const instance of this.of('evidence')) await instance.stop()
    const at = paths(this.place.data)
    return audit({ logDir: at.log, trustPath: at.trust })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#owned.disposeAsync()
  }
}

async function patiently<T>(act: () => Promise<T>): Promise<T> {
  let last: unknown
  const found = await eventually(async () => {
    try {
      return { value: await act() }
    } catch (error) {
      last = error
      return undefined
    }
  }).catch(() => {
    throw last
  })
  return found.value
}

async function startInstance(
  service: ServiceName,
  { place, port, bus, store }: { place: Place; port: number; bus: Bus; store: GrantStore },
): Promise<Instance> {
  const fatal: unknown[] = []
  const metrics = makeMetrics({ service, processMetrics: false })
  let off = false
  const cuttable: FaultyBus = faultyBus(shared(bus), ({ method }) =>
    off && (method === 'publish' || method === 'ends') ? 'before' : undefined,
  )
  const cut = () => {
    off = true
    for (const topic of topics) cuttable.hold(topic)
  }
  let last: string | undefined
  const mortal: Bus = {
    ...shared(cuttable),
    publish(topic, events) {
      if (last !== undefined && events.some(({ bytes }) => Buffer.from(bytes).includes(last ?? ''))) cut()
      return cuttable.publish(topic, events)
    },
  }
  const config = readConfig(z.object(commonSettings(port)), {
    BAILIWICK_DATA: place.data,
    BAILIWICK_PORT: String(port),
    BAILIWICK_MAX_STALENESS: '10s',
  })
  await using started = new AsyncDisposableStack()
  const host = started.use(
    await openHost({
      config,
      socket: join(place.data, `${port}.sock`),
      openBus: async () => mortal,
      clock: systemClock,
      random: systemRandom,
      logger,
      metrics,
      onFatal: (error) => void fatal.push(error),
    }),
  )
  started.use(await services[service](host, store))
  await host.listen()
  const owned = started.move()
  let stopped: Promise<void> | undefined
  return {
    service,
    host,
    metrics,
    fatal,
    acts: () => stopped === undefined && Object.keys(host.health.gates()).length === 0,
    cut,
    cutBefore(text) {
      last = text
    },
    mend() {
      off = false
      for (const topic of topics) cuttable.release(topic)
    },
    stop: () => (stopped ??= owned.disposeAsync()),
  }
}

/** The console as a reader that evidence knows: the two share no machine here. */
const consoleReader = (key: SigningKey<'auditor'>) => ({
  type: 'auditor' as const,
  value: { id: 'console', name: 'The page Evidence of the console', jwk: key.publicJwk },
})

const services: Record<ServiceName, (host: Host, store: GrantStore) => Promise<AsyncDisposable>> = {
  issuer: (host) =>
    startIssuer(
      { ...host.settings, credentialSeconds: 300 },
      {
        ...host,
        genesis: readGenesis(host.data),
        keys: issuerKeys(host),
      },
    ),
  evidence: (host) =>
    startEvidence(
      { ...host.settings, logPublic: false, sinks: { backlog: 1_000_000 } },
      {
        ...host,
        keys: evidenceKeys(host),
      },
    ),
  'policy-decision': (host, grantStore) =>
    startPolicyDecision(
      { ...host.settings, decisionDeadlineMs: 10_000 },
      {
        ...host,
        grantStore,
        keys: policyDecisionKeys(host),
      },
    ),
  approval: (host) =>
    startApproval(
      { ...host.settings, evidenceUrl: host.settings.publicUrl },
      {
        ...host,
        keys: {
          ...approvalKeys(host),
          auditor: host.key('approval', 'auditor', 'auditor'),
        },
      },
    ),
}

/** One bus that several owners can each dispose without closing it. */
const shared = (bus: Bus): Bus => ({
  publish: (topic, events) => bus.publish(topic, events),
  consume: (names, group, handler) => bus.consume(names, group, handler),
  follow: (names, since, handler) => bus.follow(names, since, handler),
  ends: (topic) => bus.ends(topic),
  [Symbol.asyncDispose]: async () => undefined,
})
