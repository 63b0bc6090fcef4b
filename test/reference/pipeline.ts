import {
  actionHash,
  type DecodedEvent,
  type EnforcementPoint,
  type EventData,
  type EventTypeOf,
  type Grant,
  type TopicName,
} from '@bailiwick/contracts'
import { exampleEvent } from '@bailiwick/contracts/examples'
import {
  type AccessToken,
  actionDigest,
  generateKey,
  jcsHash,
  KeyRing,
  makeDpopProof,
  type SigningKey,
  signAccessToken,
  signContinuation,
  signOutcome,
  signServiceKeyCertificate,
  type Trust,
} from '@bailiwick/credentials'
import { logger } from '@bailiwick/host'
import type { Published } from '@bailiwick/instance'
import { systemRandom } from '@bailiwick/kit'
import {
  type ActivePolicies,
  type Answer,
  type Deciding,
  Denials,
  decide,
  OutcomesInHand,
  type Recording,
  reportOutcome,
  StepUps,
  sweepMissing,
  TreeQueues,
  UnderWay,
} from '@bailiwick/policy-decision/pipeline'
import { Ledger } from '@bailiwick/projection'

// The decision point's own pipeline over a real ledger, real credentials and the real Cedar. The world around it is
// simplified: the bus is a call of the ledger, the grant store is away so that only the log decides, and the humans'
// passkeys count as verified.

export const installation = 'ins_0123456789abcdef'
export const start = Date.parse('2026-07-01T08:00:00.000Z')
export const idOf = (prefix: string, n: number | string) => `${prefix}_${String(n).padStart(20, '0')}`
export const spell = (ms: number) => new Date(ms).toISOString()

const root = generateKey('root')
const credentialKey = generateKey('credential')
const permitKey = generateKey('permit')
const bindingKey = generateKey('binding-token')
const outcomeKey = generateKey('outcome')
const callerKey = generateKey('pep-caller')
const publicUrl = 'http://localhost:8420'
const base = 'https://pep.example/'
const trust = {
  v: 1,
  installation,
  root: { jwk: root.publicJwk },
  log: { vkey: `log+00000000+${'A'.repeat(44)}` },
  rp_id: 'localhost',
  origins: [publicUrl],
  single_operator: true,
  invitation: { jwk: generateKey('invitation').publicJwk },
  public_url: publicUrl,
  created_at: spell(start),
} as Trust
const certificate = signServiceKeyCertificate(
  {
    installation,
    kid: credentialKey.kid,
    jwk: credentialKey.publicJwk,
    purpose: 'credential',
    service: 'issuer',
    topics: [],
    not_before: spell(start - 3_600_000),
    not_after: spell(start + 72 * 3_600_000),
  } as Parameters<typeof signServiceKeyCertificate>[0],
  root,
)
const silent = logger({ service: 'test', level: 'silent' })

export const pointOf = (id: string, tools: string, mayRelease: boolean): EnforcementPoint => ({
  id,
  caller_jwk: callerKey.publicJwk as EnforcementPoint['caller_jwk'],
  outcome_jwk: outcomeKey.publicJwk as EnforcementPoint['outcome_jwk'],
  resources: [{ type: 'tool', id_prefix: tools } as EnforcementPoint['resources'][number]],
  base_urls: [base],
  may_release: mayRelease,
})

export interface Asked {
  token: AccessToken
  point: EnforcementPoint
  name: string
  resource: { type: string; id: string }
  properties: Record<string, unknown>
  signed: boolean
  answerBytes: number | undefined
  /** The call that this one goes on with: its decision, and the name and salt of the first round's action. */
  continues?: { decisionId: string; action: string; salt: string | undefined } | undefined
  /** The key and instance of the credential's holder. */
  key: SigningKey<'agent'>
}

/** The answer; `permissions`: the one of each level that was charged; `bytes`: the limit of the answer. */
export type Told =
  | {
      decision: true
      decisionId: string
      callId: string
      digest: string
      salt: string | undefined
      permissions: number[]
      bytes: number
    }
  | { decision: false; reason: string }

export class Pipeline {
  readonly ledger = new Ledger({ judge: async () => true, base: false })
  readonly #pdp: Deciding & Recording
  readonly #queues: TreeQueues
  readonly #inHand = new OutcomesInHand()
  readonly #denials: Denials
  #asked = 0
  #now = start
  #events = 0
  fresh = true
  /** Data of the newest ALLOW. */
  #allowed: EventData<'decisions.v1', 'decision.allowed'> | undefined
  readonly #versions = new Map<string, number>()

  constructor(policies: ActivePolicies, approverIds: (grant: Grant) => string[]) {
    const keyRing = new KeyRing(trust)
    keyRing.certify(certificate)
    const projection = {
      ledger: this.ledger,
      fresh: () => this.fresh,
      until: async <T>(find: () => T) => find(),
      readToEnds: async () => undefined,
    }
    const away = async () => {
      throw new Error('the store is away')
    }
    this.#pdp = {
      keyRing,
      projection,
      record: (drafts: Parameters<Recording['record']>[0]) => this.#record(drafts),
      catchUp: { now: async () => undefined },
      agents: new UnderWay(512),
      intake: { enter: async () => ({ leave: () => undefined }) },
      quotas: { take: () => undefined },
      newEventId: () => this.#eventId(),
      trust,
      permitKey,
      bindingKey,
      publicUrl,
      grantStore: { advance: away, settle: away, reset: away, refill: away },
      policies,
      shadow: { prepare: () => undefined, ask: () => undefined },
      approvals: { of: async ({ grant }: { grant: Grant }) => ({ ok: true, approverIds: approverIds(grant) }) },
      stepUps: new StepUps(projection as never, trust),
      proofs: { accept: async () => 'accepted', readopt: async () => undefined },
      decisionDeadlineMs: 600_000,
      outcomeSeconds: 60,
      // No two calls in one second: other tests cover floods of denials.
      clock: { now: () => this.#now, monotonic: () => this.#asked * 1000 },
      random: systemRandom,
      logger: silent,
    } as unknown as Deciding & Recording
    this.#queues = new TreeQueues(this.#pdp)
    this.#denials = new Denials(this.#pdp, () => undefined)
  }

  #eventId(): string {
    this.#events++
    return idOf('evt', this.#events)
  }

  /** An event as the topic's writer publishes it; `key` is what it is ordered by. */
  async tell<N extends TopicName, E extends EventTypeOf<N>>(
    topic: N,
    type: E,
    key: string,
    data: unknown,
    told: { version?: number; id?: string } = {},
  ): Promise<string> {
    const name = `${topic} ${key}`
    const version = told.version ?? (this.#versions.get(name) ?? 0) + 1
    const names = { id: told.id ?? this.#eventId(), subject: key, partitionkey: key, time: spell(this.#now) }
    const event = { ...exampleEvent(topic, type), ...names, version, data } as DecodedEvent
    const verdict = await this.ledger.apply(topic, event, this.#now)
    if (verdict === 'counts') this.#versions.set(name, version)
    return verdict
  }

  register(
    type: 'registered' | 'changed' | 'retired',
    entity: 'agent' | 'approver' | 'tool-server',
    value: { id: string },
  ) {
    const named = { type: entity, id: value.id }
    const data = type === 'retired' ? { entity: named } : { entity: named, value, hash: jcsHash(value) }
    return this.tell('registry.v1', `${entity}.${type}` as EventTypeOf<'registry.v1'>, `${entity} ${value.id}`, data)
  }

  async #record(drafts: Parameters<Recording['record']>[0]): Promise<Published[]> {
    const published: { verdict: string }[] = []
    for (const { type, key = '', data, version = 0, id } of drafts) {
      if (type === 'decision.allowed') this.#allowed = data as EventData<'decisions.v1', 'decision.allowed'>
      published.push({ verdict: await this.tell('decisions.v1', type, key, data, { version, ...(id ? { id } : {}) }) })
    }
    return published as Published[]
  }

  async ask({ token, point, name, resource, properties, signed, answerBytes, continues, key }: Asked): Promise<Told> {
    const credential = signAccessToken(token, credentialKey)
    const digest = actionDigest({ name, properties, resource })
    const call = { htm: 'POST', htu: `${base}call`, jti: this.#eventId(), now: this.#now, accessToken: credential }
    const proof = makeDpopProof({ ...call, actionDigest: signed ? digest : undefined }, key)
    const call_id = idOf('call', this.#asked)
    const asked =
      continues &&
      signContinuation(
        {
          ...{ installation, enforcement_point: point.id, call_id },
          ...{ decision_id: continues.decisionId, action_digest: continues.action },
        },
        callerKey,
      )
    const goesOn = asked === undefined ? {} : { call_id, continues: { asked, salt: continues?.salt } }
    const request = {
      subject: { type: 'agent', id: token.sub },
      action: { name, properties },
      resource,
      observed: {
        ...{ credential, proof, htm: call.htm, htu: call.htu, action_digest: digest, answer_bytes: answerBytes },
        ...goesOn,
      },
      withApproval: false,
      digest,
    }
    this.#asked++
    const answer: Answer = await decide(this.#pdp, this.#queues, point, request)
    if (!answer.decision) {
      this.#denials.add(point, request, answer)
      await new Promise(setImmediate) // it is on the log before the next call is made
      return { decision: false, reason: answer.reason }
    }
    const { decisionId, callId } = answer
    const { action_salt: salt } = JSON.parse(Buffer.from(answer.permit.split('.')[1] ?? '', 'base64url').toString())
    const { permission, chain = [], reserved, action } = this.#allowed ?? { permission: -1 }
    return {
      decision: true,
      decisionId,
      callId,
      digest: action === undefined ? digest : actionHash(action),
      salt,
      permissions: [permission, ...chain.map((link) => link.permission)],
      bytes: reserved?.egress_bytes ?? 0,
    }
  }

  /** Whether the outcome was accepted. */
  async report(
    point: EnforcementPoint,
    { decisionId, callId, digest }: { decisionId: string; callId: string; digest: string },
    { status, bytes, cost }: { status: string; bytes: number | undefined; cost: string | undefined },
  ): Promise<boolean> {
    const outcome = {
      installation,
      enforcement_point: point.id,
      sequence: ++this.#events,
      call_id: callId,
      decision_id: decisionId,
      action_digest: digest,
      status,
      at: spell(this.#now),
      ...(bytes === undefined ? {} : { egress_bytes: bytes }),
      ...(cost === undefined ? {} : { cost: { amount: cost, currency: 'EUR' } }),
    } as Parameters<typeof signOutcome>[0]
    const jws = signOutcome(outcome, outcomeKey)
    return reportOutcome(this.#pdp, this.#queues, point, jws, { tell: () => undefined }, this.#inHand).then(
      () => true,
      () => false,
    )
  }

  async pass(ms: number): Promise<void> {
    this.#now += ms
    await sweepMissing(this.#pdp, this.#queues, this.#inHand)
    await new Promise(setImmediate) // a missing outcome is reported by then: nothing here waits for more than one turn
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#denials[Symbol.asyncDispose]()
  }

  token(claims: Omit<AccessToken, 'iss' | 'aud'>): AccessToken {
    return { iss: publicUrl, aud: base, ...claims }
  }

  intend(token: AccessToken): Promise<string> {
    return this.tell('grants.v1', 'credential.intended', token.grant.root, {
      credential_id: token.jti,
      grant_id: token.grant.id,
      ...(token.grant.delegation === undefined ? {} : { delegation_id: token.grant.delegation }),
      agent: token.client_id,
      jkt: token.cnf.jkt,
      audience: [base],
      issued_at: spell(token.iat * 1000),
      expires_at: spell(token.exp * 1000),
      kid: credentialKey.kid,
    })
  }
}
