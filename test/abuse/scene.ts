import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Agent } from '@bailiwick/agent'
import type { Bus, Position } from '@bailiwick/bus'
import {
  decodeEvent,
  type Envelope,
  encodeEnvelope,
  formatSequence,
  type Topic,
  topicNamed,
  topics,
} from '@bailiwick/contracts'
import { type EventPurpose, type SigningKey, signEvent } from '@bailiwick/credentials'
import { errorCode } from '@bailiwick/errors'
import { paths } from '@bailiwick/installation'
import { sample, sampleAuthority } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { type Approver, enrolApprover, type System, type SystemOptions, startSystem } from '@bailiwick/testkit'
import { inject } from 'vitest'
import { audit } from '../audit.ts'
import { type InvoicesApi, startInvoicesApi } from '../demo/invoices-api.ts'
import { openAdapters } from '../e2e/adapters-under-test.ts'

export { pause }

/** How long an expected event may take: a busy machine is not a failure. Waiting ends as soon as the event is there. */
const patienceMs = 60_000

/** Asks again until there is an answer. */
export async function eventually<T>(what: string, find: () => Promise<T | undefined> | T | undefined, ms = patienceMs) {
  for (const end = performance.now() + ms; ; await pause(20)) {
    const found = await find()
    if (found !== undefined && found !== false) return found
    if (performance.now() > end) throw new Error(`it did not happen: ${what}`)
  }
}

const heldUp: ReadonlySet<string> = new Set([
  'service_standby',
  'service_unreachable',
  'service_unready',
  'request_timed_out',
])

/** The reasons of a call that a busy machine prevented from being decided. */
export const undecided: ReadonlySet<string> = new Set([
  'deadline_exceeded',
  'decision_unavailable',
  'pdp_unavailable',
  'state_stale',
])

/** Retries while a process refuses because a busy machine delayed it so long that it thinks another instance is active. */
export async function answered<T>(ask: () => Promise<T>): Promise<T> {
  const told = await eventually(
    'it answers',
    () =>
      ask().then(
        (value) => ({ value }),
        async (error) => {
          if (!heldUp.has(errorCode(error))) throw error
          await pause(500) // an immediate retry would soon hit the rate limit
          return undefined
        },
      ),
    120_000,
  )
  return told.value
}

/** As `answered`, for an HTTP request. */
export const answering = (url: string, init: RequestInit): Promise<Response> =>
  answered(async () => {
    const response = await fetch(url, init)
    const problem: unknown = response.status === 503 ? await response.clone().json() : undefined
    if (heldUp.has(errorCode(problem))) throw problem
    return response
  })

// Each request is for another duration: an identical request is folded, and is paused after a denial.
let asks = 0

/** The adapters of a system in this project: a real Kafka and Redis, which outlive it, or the files in its folder. */
export async function projectAdapters(): Promise<Pick<SystemOptions, 'adapters'> & AsyncDisposable> {
  const opened = inject('realParts') === undefined ? undefined : await openAdapters()
  return {
    ...(opened && { adapters: { bus: opened.bus, grantStore: opened.store } }),
    [Symbol.asyncDispose]: async () => opened?.[Symbol.asyncDispose](),
  }
}

/** The honest people and programs that an attack must not hurt, and what the attacker sees of them. */
export class Scene implements AsyncDisposable {
  readonly system: System
  readonly approver: Approver
  readonly invoices: InvoicesApi
  readonly #owned: AsyncDisposable

  private constructor(system: System, approver: Approver, invoices: InvoicesApi, owned: AsyncDisposable) {
    this.system = system
    this.approver = approver
    this.invoices = invoices
    this.#owned = owned
  }

  static async #open(
    start: (opening: AsyncDisposableStack) => Promise<System>,
    enrol?: (system: System) => Promise<Approver>,
  ): Promise<Scene> {
    await using opening = new AsyncDisposableStack()
    const system = opening.use(await start(opening))
    const invoices = opening.use(await startInvoicesApi(system, { clock: system.clock, timeoutMs: 12_000 }))
    const approver = (await enrol?.(system)) as Approver
    return new Scene(system, approver, invoices, opening.move())
  }

  static #started(options: SystemOptions) {
    return async (opening: AsyncDisposableStack) => {
      const { adapters } = options.adapters ? options : opening.use(await projectAdapters())
      return startSystem({ ...options, ...(adapters && { adapters }) })
    }
  }

  /** For a system in which another person is enrolled already. */
  static of(system: System): Promise<Scene> {
    return Scene.#open(async () => system)
  }

  /** A scene without an enrolled person. On a real Kafka and Redis in the project that has them. */
  static bare(options: SystemOptions = {}): Promise<Scene> {
    return Scene.#open(Scene.#started(options))
  }

  /** As `bare`, with the owner enrolled and known to the decision point. */
  static open(options: SystemOptions = {}): Promise<Scene> {
    return Scene.#open(Scene.#started(options), async (system) => {
      const approver = await answered(() => enrolApprover(system))
      const { registry } = system.services.policyDecision.pdp.projection.ledger
      await eventually('the decision point knows the owner', () => registry.get('approver', 'owner'))
      return approver
    })
  }

  /** The same installation started again, on the same adapters; no person signs in. */
  static reopen(
    options: SystemOptions & { data: string },
  ): Promise<Pick<Scene, 'ledger' | 'agent' | 'tryCall'> & AsyncDisposable> {
    return Scene.#open(() => startSystem(options))
  }

  /** Acts as the operator of this machine. Retries while a busy machine delays the service. */
  operate<T>(path: string, payload: object): Promise<{ status: number; body: T }> {
    return answered(async () => {
      const answer = await this.system.host.operator.inject({ method: 'POST', url: `/operator/${path}`, payload })
      if (answer.statusCode === 503) throw answer.json()
      return { status: answer.statusCode, body: answer.json<T>() }
    })
  }

  async revoke(kind: string, target: string): Promise<number> {
    return (await this.operate('revocations', { kind, target })).status
  }

  /** Proposes a registry change as this machine's operator; the change waits for people. */
  propose(type: string, id: string | undefined, value: unknown, proposer = 'operator') {
    const entities = [{ type, id, value }]
    return this.operate<{ request_id: string; code?: string }>('registry/changes', { proposer, entities })
  }

  get url(): string {
    return this.system.url
  }

  get bus(): Bus {
    return this.system.host.bus
  }

  get pdp(): System['services']['policyDecision']['pdp'] {
    return this.system.services.policyDecision.pdp
  }

  /** The state that every reader has folded, taken from the decision point. */
  get ledger() {
    return this.pdp.projection.ledger
  }

  agent(name: (typeof sample.agents)[number] = 'reconciler'): Agent {
    return sampleAgent(this.system.host, name)
  }

  /** Makes a request over HTTP, not answered yet. */
  async asked(agent = this.agent(), authority: object = sampleAuthority): Promise<string> {
    const signed = agent.signRequest({ authority, mode: 'window', expiresInSeconds: 3000 + (++asks % 600) } as never)
    return (await answered(() => agent.request(signed))).requestId
  }

  async granted(agent = this.agent()): Promise<{ requestId: string; grantId: string }> {
    const requestId = await this.asked(agent)
    const { grant_id: grantId } = await answered(() => this.approver.approve(requestId))
    if (grantId === undefined) throw new Error('there is no grant')
    return { requestId, grantId }
  }

  call(agent: Agent, grantId: string, tool = 'read', properties: object = { invoice: 'INV-1' }): Promise<Response> {
    return agent.fetch(
      `${this.invoices.url}/${tool}`,
      { method: 'POST' },
      {
        grant: { grantId },
        action: 'tools/call',
        resource: { type: 'tool', id: `${sample.toolServer}/${tool}` },
        properties: { ...properties },
      },
    )
  }

  /** `ok`, or the code that refused the call or the credential for it. Retries while a machine is busy. */
  async tryCall(agent: Agent, grantId: string): Promise<string> {
    let said = ''
    for (let tries = 0; tries < 10; tries++) {
      said = await this.#callOnce(agent, grantId)
      if (!undecided.has(said)) break
    }
    return said
  }

  async #callOnce(agent: Agent, grantId: string): Promise<string> {
    try {
      const response = await this.call(agent, grantId)
      const body = (await response.json()) as { code?: string }
      return response.status === 200 ? 'ok' : (body.code ?? String(response.status))
    } catch (error) {
      return errorCode(error)
    }
  }

  /** Checks that the system still does its job: a new task, approved and acted upon. */
  async stillWorks(agent = this.agent()): Promise<void> {
    const { grantId } = await this.granted(agent)
    const said = await this.tryCall(agent, grantId)
    if (said !== 'ok') throw new Error(`an honest call was refused: ${said}`)
  }

  /** The oracle: audits evidence from its files alone. Waits until everything published is under a checkpoint. */
  async audited() {
    await this.invoices.delivered()
    for (let tries = 0; ; tries++) {
      for (let size = -1; size !== this.system.services.evidence.size(); await pause(500))
        size = this.system.services.evidence.size()
      const report = await audit({ logDir: paths(this.system.data).log, trustPath: paths(this.system.data).trust })
      // Evidence may be at different positions of different topics; only a gap that stays is one.
      if (
        tries > 20 ||
        !unlikely(report.findings).some(({ detail }) =>
          /\d+ where \d+ is next$|: the outcome before it is missing$/.test(detail),
        )
      )
        return report
    }
  }

  /** Everything on a topic, in order. */
  async read(topic: string): Promise<Read[]> {
    const seen: Read[] = []
    await using follower = await this.bus.follow([topic], 'start', async (batch) => {
      for (const { bytes, key } of batch) seen.push({ key, bytes, text: Buffer.from(bytes).toString() })
    })
    await follower.caughtUp
    return seen
  }

  async events(topic: string): Promise<Stood[]> {
    return (await this.read(topic)).flatMap(({ text }) => {
      try {
        const event = JSON.parse(text) as Stood | null
        return event === null ? [] : [event]
      } catch {
        return [] // poison
      }
    })
  }

  stolenKey(service: 'approval' | 'issuer' | 'policy-decision' | 'evidence'): SigningKey<EventPurpose> {
    const purpose = { approval: 'approval', issuer: 'issuer', 'policy-decision': 'pdp', evidence: 'evidence' } as const
    return this.system.host.key(service, 'event', `${purpose[service]}-event`)
  }

  /** Puts bytes on the bus, as any client with the right to write there. */
  put(topic: string, key: string, bytes: Uint8Array) {
    return this.bus.publish(topic, [{ id: eventId(), key, bytes }] as never)
  }

  /** Forges an event, publishes it, and resolves once the decision point has read it. */
  async forge(topic: string, forged: Forged, key?: SigningKey<EventPurpose>): Promise<Position> {
    return this.place(topic, forged.key ?? forged.subject, forgedEvent(topic, forged, key).bytes)
  }

  /** Publishes bytes, and resolves once the decision point has read them. */
  async place(topic: string, key: string, bytes: Uint8Array): Promise<Position> {
    const [position] = await this.put(topic, key, bytes)
    if (position === undefined) throw new Error('it was not published')
    if (this.pdp.projection.follows(topic)) await this.pdp.projection.waitFor(position, patienceMs)
    return position
  }

  /** Resolves once the decision point and the issuer have read everything that stands on their topics now. */
  async readToEnds(): Promise<void> {
    const { issuer, policyDecision } = this.system.services
    const facts = topics.flatMap(({ name, leaf }) => (leaf ? [name] : []))
    await Promise.all([issuer, policyDecision.pdp].map(({ projection }) => projection.readToEnds(facts, patienceMs)))
  }

  /** The state that counts for every reader, from all that stands on the topics now. */
  async counted(): Promise<string> {
    await this.readToEnds()
    const { registry, requests, grants, revocations, decisions } = this.ledger
    return JSON.stringify([
      registry.records().map(({ type, id, version, hash }) => [type, id, version, hash]),
      [...requests.requests.values()].map(({ id, state, version }) => [id, state, version]),
      [...requests.enrolments.keys()],
      [...grants.trees.values()].map(({ id, state, version, credentials }) => [id, state, version, credentials.size]),
      [...grants.refused],
      revocations.sequence,
      [...decisions.trees].map(([id, { version, head }]) => [id, version, head]),
    ])
  }

  /** Resolves once evidence has reported each of these messages as none of its leaves; fails if evidence stays silent. */
  async parked(positions: readonly Position[]): Promise<void> {
    const wanted = new Set(positions.map(({ topic, partition, offset }) => `${topic}/${partition}/${offset}`))
    const topics = [...new Set(positions.map(({ topic }) => `${topic}.parked`)), 'findings.v1']
    await eventually(`evidence tells of ${[...wanted].join()}`, async () => {
      for (const topic of topics)
        if (topicNamed(topic)) for (const { subject } of await this.events(topic)) wanted.delete(subject)
      return wanted.size === 0 || undefined
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned[Symbol.asyncDispose]()
  }
}

/** The findings without those that report a thief who signs with a service's key: there was one. */
export const unlikely = <F extends { rule: string; detail: string }>(findings: readonly F[]): F[] =>
  findings.filter(({ rule, detail }) => rule !== 'V15' || !/^\/[a-z-]+\/thief\b/.test(detail))

export interface Read {
  key: string
  bytes: Uint8Array
  text: string
}

/** An event as it stood on its topic. */
export interface Stood extends Envelope {
  data: never
}

export const eventId = () => `evt_${randomBytes(16).toString('hex')}`

export interface Forged {
  type: string
  subject: string
  data: unknown
  key?: string
  id?: string
  version?: number
  source?: string
  time?: string
}

/** A well-formed event, signed with this key, or with only a placeholder for a signature. */
export function forgedEvent(topic: string, forged: Forged, key?: SigningKey<EventPurpose>) {
  const id = forged.id ?? eventId()
  const unsigned = encodeEnvelope({
    specversion: '1.0',
    id,
    source: forged.source ?? `/${topicNamed(topic)?.writer}/thief`,
    type: forged.type,
    time: forged.time ?? new Date().toISOString(),
    subject: forged.subject,
    datacontenttype: 'application/json',
    dataschema: `urn:bailiwick:schema:${topic}:${forged.type}`,
    partitionkey: forged.key ?? forged.subject,
    version: forged.version,
    ...(topicNamed(topic)?.leaf === false ? {} : { sequence: formatSequence(1), previous: 'none' }),
    data: forged.data,
  })
  if (!key) return { id, bytes: unsigned }
  const bytes = signEvent(unsigned, key)
  const decoded = decodeEvent(topicNamed(topic) as Topic, bytes)
  // An attack that is refused for its form proves nothing about what it was made for.
  if (!decoded.ok) throw new Error(`the forgery is malformed: ${decoded.detail}`)
  return { id, bytes }
}
