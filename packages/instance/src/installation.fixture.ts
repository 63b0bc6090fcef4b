import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bus, Message } from '@bailiwick/bus'
import { embeddedBus } from '@bailiwick/bus/embedded'
import {
  type DecodedEvent,
  encodeEnvelope,
  type ServiceKey,
  type ServiceName,
  type TopicName,
  topicNamed,
  topics,
  writersOf,
} from '@bailiwick/contracts'
import {
  type EventPurpose,
  generateKey,
  jcsHash,
  KeyRing,
  type ServicePurpose,
  type SigningKey,
  signEvent,
  signServiceKeyCertificate,
  signTrust,
} from '@bailiwick/credentials'
import type { ErrorCode } from '@bailiwick/errors'
import { at, idOf, noon } from '@bailiwick/projection/events-fixture'
import { type Draft, Producer, type ProducerOptions } from './producer.ts'
import { Projection, type ProjectionOptions } from './projection.ts'

const root = generateKey('root')
const jwkOf = <K>(key: { publicJwk: unknown }) => key.publicJwk as K

/** One trust anchor and the services' keys under it. Making keys is slow, so all tests of a file share them. */
export const trust = signTrust(
  {
    v: 1,
    installation: 'ins_0123456789',
    root: { jwk: jwkOf(root) },
    log: { vkey: `log+00000000+${'A'.repeat(44)}` },
    rp_id: 'localhost',
    origins: ['http://localhost:8420'],
    single_operator: true,
    invitation: { jwk: jwkOf(generateKey('invitation')) },
    public_url: 'http://localhost:8420',
    created_at: at(0),
  },
  root,
)
export const keys = {
  issuer: generateKey('issuer-event'),
  approval: generateKey('approval-event'),
  'policy-decision': generateKey('pdp-event'),
  evidence: generateKey('evidence-event'),
} as const satisfies Record<ServiceName, SigningKey<EventPurpose>>

/** A certified key in the form that the registry holds. */
export function certified(service: ServiceName, key: SigningKey<ServicePurpose> = keys[service]) {
  const written = topics.filter((topic) => writersOf(topic).includes(service)).map(({ name }) => name)
  const claims = {
    kid: key.kid,
    jwk: jwkOf<ServiceKey['jwk'] & { kty: 'EC' }>(key),
    purpose: key.purpose,
    service,
    topics: key.purpose.endsWith('-event') ? written : [],
    not_before: at(-3_600_000),
    not_after: at(3_600_000 * 24),
  }
  const certificate = signServiceKeyCertificate({ installation: trust.installation, ...claims }, root)
  const { kid, ...rest } = claims
  return { id: kid, ...rest, certificate }
}

/** A registry event that makes a service key known. */
export function keyDraft(service: ServiceName, key: SigningKey<ServicePurpose> = keys[service]): Draft<'registry.v1'> {
  const value = certified(service, key)
  return {
    type: 'service-key.registered',
    subject: `service-key ${value.id}`,
    version: 1,
    data: {
      entity: { type: 'service-key', id: value.id },
      value,
      hash: jcsHash(value),
      authorization: { kind: 'root', jws: 'a.b.c' },
    },
  }
}

export interface Refusal {
  code: ErrorCode
  offset: number
}

/** Time that stands still until a test moves it. The two clocks move separately, as on a machine whose wall clock is set. */
export class TestTime {
  wall = noon
  ticks = 0
  now = () => this.wall
  monotonic = () => this.ticks
  pass(ms: number): void {
    this.wall += ms
    this.ticks += ms
  }
}

/** A bus in a folder of its own, with its readers and its producers. All end with it; the folder is removed last. */
export class Installation implements AsyncDisposable {
  readonly time = new TestTime()
  readonly dir: string
  bus: Bus
  #ids = 0
  readonly #readers: Projection[] = []

  private constructor(bus: Bus, dir: string) {
    this.bus = bus
    this.dir = dir
  }

  static async open(wrap: (bus: Bus) => Bus = (bus) => bus): Promise<Installation> {
    const dir = mkdtempSync(join(tmpdir(), 'projection-test-'))
    const installation: Installation = new Installation({} as Bus, dir)
    await installation.start(wrap)
    return installation
  }

  /** Opens the folder's bus. Can be called again after `stop`. */
  async start(wrap: (bus: Bus) => Bus = (bus) => bus): Promise<void> {
    this.bus = wrap(
      await embeddedBus({
        dir: this.dir,
        now: this.time.now,
        partitions: (topic) => topicNamed(topic)?.partitions ?? 1,
        retentionMs: () => undefined,
      }),
    )
  }

  async stop(): Promise<void> {
    for (const reader of this.#readers.splice(0)) await reader[Symbol.asyncDispose]()
    await this.bus[Symbol.asyncDispose]()
  }

  async reader(
    follows: readonly TopicName[] = [],
    more: Partial<ProjectionOptions> = {},
  ): Promise<{ projection: Projection; refusals: Refusal[]; keyRing: KeyRing }> {
    const refusals: Refusal[] = []
    const keyRing = new KeyRing(trust)
    const projection = await Projection.open({
      bus: this.bus,
      topics: follows,
      keyRing,
      judge: async () => true,
      time: this.time,
      onRefused: ({ offset }: Message, code) => refusals.push({ code, offset }),
      ...more,
    })
    projection.failed.catch(() => undefined)
    this.#readers.push(projection)
    return { projection, refusals, keyRing }
  }

  producer(projection: Projection, service: ServiceName = 'issuer', more: Partial<ProducerOptions> = {}): Producer {
    return new Producer({
      bus: this.bus,
      projection,
      key: keys[service],
      service,
      instance: `run-${++this.#ids}`,
      time: this.time,
      newEventId: () => idOf('evt', ++this.#ids),
      onFatal: (error) => {
        throw error
      },
      ...more,
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    rmSync(this.dir, { recursive: true, force: true })
  }
}

type Declared = Extract<Draft<'revocations.v1'>, { type: 'revocation.declared' }>

export const revocation = (version: number, target = `grt_${version}`): Declared => ({
  type: 'revocation.declared',
  subject: `grant ${target}`,
  key: 'revocations',
  version,
  data: {
    revocation_id: idOf('rev', version),
    kind: 'grant',
    target,
    reason: 'test',
    by: { kind: 'operator', id: 'olga' },
  },
})

/** An event as a holder of `key` would sign it, with any content. */
export function signed(event: DecodedEvent, key: SigningKey<EventPurpose>): { key: string; bytes: Uint8Array } {
  const { jws: _, ...unsigned } = event
  return { key: event.partitionkey, bytes: signEvent(encodeEnvelope(unsigned), key) }
}

/** All messages on a topic of one partition, once there are `count`. */
export async function standing(bus: Bus, topic: TopicName, count: number): Promise<Message[]> {
  const messages: Message[] = []
  const all = Promise.withResolvers<void>()
  const follower = await bus.follow([topic], 'start', async (batch) => {
    messages.push(...batch)
    if (messages.length >= count) all.resolve()
  })
  await follower.caughtUp
  if (count > 0) await all.promise
  await follower[Symbol.asyncDispose]()
  return messages
}
