import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { buildApprovalStatement, grantOf, requestIdOf, statementChallenge } from '@bailiwick/approval-statement'
import type { Bus } from '@bailiwick/bus'
import { embeddedBus } from '@bailiwick/bus/embedded'
import {
  type Agent,
  type Approver,
  type Assertion,
  type EnforcementPoint,
  type EventData,
  type Grant,
  type PublicJwk,
  type Rule,
  type Statement,
  topicNamed,
} from '@bailiwick/contracts'
import {
  actionText,
  generateKey,
  jcsHash,
  readKeyFile,
  saltedHash,
  sha256,
  signAccessRequest,
  signGenesisStatement,
  signInvitation,
  signOutcome,
} from '@bailiwick/credentials'
import type { Draft } from '@bailiwick/instance'
import { newId, systemClock, systemRandom } from '@bailiwick/kit'
import { Installed, type Running } from '../evidence.fixture.ts'

const rpId = 'localhost'
const origin = 'http://localhost:8420'

/** A hand-made passkey: it produces what a browser and an authenticator make of a statement. */
function aPasskey() {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
  const [prefix, middle] = [Buffer.from('a5010203262001215820', 'hex'), Buffer.from('225820', 'hex')]
  const cose = Buffer.concat([prefix, Buffer.from(x, 'base64url'), middle, Buffer.from(y, 'base64url')])
  const credential_id = randomBytes(32).toString('base64url')
  const credential = {
    credential_id,
    public_key: cose.toString('base64url'),
    sign_count: 0,
    registered_at: new Date(systemClock.now()).toISOString(),
  }
  const answer = (statement: Statement): Assertion => {
    const challenge = Buffer.from(statementChallenge(statement)).toString('base64url')
    const clientData = Buffer.from(JSON.stringify({ type: 'webauthn.get', challenge, origin, crossOrigin: false }))
    const hash = (data: string | Buffer) => createHash('sha256').update(data).digest()
    const authenticatorData = Buffer.concat([hash(rpId), Buffer.from([0x05, 0, 0, 0, 0])])
    const signature = sign('sha256', Buffer.concat([authenticatorData, hash(clientData)]), privateKey)
    return {
      credential_id,
      authenticator_data: authenticatorData.toString('base64url'),
      client_data_json: clientData.toString('base64url'),
      signature: signature.toString('base64url'),
    }
  }
  return { credential, answer }
}

const tool = { type: 'tool', id: 'invoices.read' }
const aCall = (who: string) => ({
  salt: randomBytes(16).toString('base64url'),
  text: actionText({ name: 'tools/call', properties: { invoice: 'INV-1', of: `CUSTOMER-${who}` }, resource: tool }),
})

/** False statements of a service that was taken over. */
export interface Lies {
  received?: (data: Extract<EventData<'approvals.v1', 'request.received'>, { kind: 'access' }>) => object
  assertion?: (assertion: Assertion) => Assertion
  /** The hash of the request that the statement names. */
  answerTo?: string
  /** Bounds of arguments in the requested authority. */
  bound?: Record<string, { max: string }>
  /** More members of the requested authority: how often it may be passed on, other permissions. */
  authority?: object
  rebind?: 'attested'
  grant?: (grant: Grant) => Grant
  outcomeKey?: ReturnType<typeof generateKey<'outcome'>>
  /** The action that the signed outcomes name. */
  outcomeAbout?: { action_digest: string }
  withoutIntent?: boolean
  /** Changes what the decision point says about an ALLOW. */
  allowed?: (data: EventData<'decisions.v1', 'decision.allowed'>) => object
  /** A rule that requires two people was registered before the approval, which one person gave under the older rule. */
  stricter?: true
  /** The invoice that the decisions name. */
  invoice?: string
}

/** One agent, one approver, one enforcement point, and a task from the request to two outcomes, as the services publish it. */
export class Story extends Installed {
  readonly agentKey: ReturnType<typeof generateKey<'agent'>>
  readonly pointKey: ReturnType<typeof generateKey<'outcome'>>
  readonly passkey: ReturnType<typeof aPasskey>
  readonly agent: Agent
  readonly approver: Approver
  readonly rule: Rule
  readonly point: EnforcementPoint
  /** Why the agent asks, in its own words. */
  readonly purpose = { salt: randomBytes(16).toString('base64url'), text: 'Reconcile, says OUR-AGENTS-WORDS' }

  /** The calls of the first and the second action. The decision point hands over only the second. */
  readonly calls = [aCall('ONE'), aCall('TWO')] as const

  constructor() {
    const agentKey = generateKey('agent')
    const pointKey = generateKey('outcome')
    const passkey = aPasskey()
    const agent = {
      id: 'spiffe://acme.example/agent/ledger',
      name: 'Ledger agent',
      owner: 'olga',
      attestor: { kind: 'registered_key' as const, keys: [{ instance: 'one', jwk: publicJwk(agentKey) }] },
      labels: [],
      proactive_requests: true,
    }
    const approver = { id: 'fiona', name: 'Fiona', groups: ['finance'], credentials: [passkey.credential] }
    const rule: Rule = {
      id: 'finance-tools',
      order: 1,
      match: {},
      approvers: { group: 'finance', quorum: 1 },
      owner_may_approve: false,
      modes: ['window'],
      max_window_seconds: 8 * 3600,
      narrowing: true,
    }
    const point: EnforcementPoint = {
      id: 'erp-gateway',
      caller_jwk: publicJwk(generateKey('agent')),
      outcome_jwk: publicJwk(pointKey),
      resources: [{ type: 'tool' }],
      base_urls: [],
      may_release: false,
    }
    super([
      { type: 'agent', value: agent },
      { type: 'rule', value: rule },
      { type: 'enforcement-point', value: point },
    ])
    this.agentKey = agentKey
    this.pointKey = pointKey
    this.passkey = passkey
    this.agent = agent
    this.approver = approver
    this.rule = rule
    this.point = point
  }

  /** The first approver enrols with the invitation. */
  #enrolment(): Draft<'registry.v1'> {
    const { id, name, groups } = this.approver
    const { credential_id, public_key } = this.passkey.credential
    const jws = signInvitation(
      { installation: this.trust.installation, approver_id: id, name, groups, credential_id, public_key },
      readKeyFile(this.at.keys('invitation'), 'invitation', 'invitation'),
    )
    const data = {
      entity: { type: 'approver' as const, id },
      value: this.approver,
      hash: jcsHash(this.approver),
      authorization: { kind: 'invitation' as const, jws },
    }
    return { type: 'approver.registered', subject: `approver ${id}`, version: 1, data }
  }

  /** Registered with the root key, after the genesis and before the first enrolment. */
  #stricterRule(): Draft<'registry.v1'> {
    const value: Rule = { ...this.rule, id: 'two-people', order: 0, approvers: { group: 'finance', quorum: 2 } }
    const [entity_type, entity_id] = ['rule', value.id]
    const root = readKeyFile(this.at.keys('root'), 'root', 'root')
    const { installation } = this.trust
    const after = jcsHash(value)
    const jws = signGenesisStatement({ installation, entity_type, entity_id, version: 1, after }, root)
    const data = {
      entity: { type: 'rule' as const, id: value.id },
      value,
      hash: after,
      authorization: { kind: 'root' as const, jws },
    }
    return { type: 'rule.registered', subject: `rule ${value.id}`, version: 1, data }
  }

  get purposeHash(): string {
    return saltedHash(this.purpose) ?? ''
  }

  /** The agent's words, as approval hands them over. */
  attachment(about: string): Draft<'attachments.approval.v1'> {
    const attachment_id = `att_${this.purposeHash}`
    const data = { attachment_id, about, ...this.purpose, salted_sha256: this.purposeHash }
    return { type: 'attachment.stored', subject: attachment_id, data }
  }

  /** The second call, as the decision point hands it over. */
  callAttachment(about: string): Draft<'attachments.policy-decision.v1'> {
    const [, call] = this.calls
    const salted_sha256 = saltedHash(call) ?? ''
    const attachment_id = `att_${salted_sha256}`
    return { type: 'attachment.stored', subject: attachment_id, data: { attachment_id, about, ...call, salted_sha256 } }
  }

  /** Publishes the whole story. Returns the ids of the things in it. */
  async tell(bus: Bus, lies: Lies = {}) {
    await using issuer = await this.registered(bus)
    await using approval = await this.participant(bus, 'approval')
    await using pdp = await this.participant(bus, 'policy-decision')
    if (lies.stricter) await issuer.producer.publish('registry.v1', [this.#stricterRule()])
    await issuer.producer.publish('registry.v1', [this.#enrolment()])
    const now = systemClock.now()
    const at = (seconds: number) => new Date(now + seconds * 1000).toISOString()
    const instance = `${this.agent.id}/one`
    const authority = {
      type: 'bailiwick_task' as const,
      task: 'reconcile-q3',
      permissions: [
        {
          ...{ actions: ['tools/call'], resource: { type: 'tool', id: 'invoices.read' } },
          ...(lies.bound === undefined ? {} : { where: lies.bound }),
        },
      ],
      budget: { calls: 20 },
      ...lies.authority,
    }

    const asked = {
      aud: this.trust.installation,
      sub: instance,
      iat: Math.floor(now / 1000),
      exp: Math.floor(now / 1000) + 600,
      jti: newId('evt', now, systemRandom),
      authority,
      mode: 'window' as const,
      expires_in_seconds: 3600,
      purpose: { salted_sha256: this.purposeHash },
    }
    const request = signAccessRequest(asked, this.agentKey)
    const request_id = requestIdOf(request)
    const received = {
      kind: 'access' as const,
      request_id,
      request,
      request_hash: jcsHash(asked),
      agent: instance,
      instance_key: this.agentKey.kid,
      authority,
      mode: 'window' as const,
      rebind: lies.rebind ?? ('none' as const),
      not_before: at(0),
      not_after: at(3600),
      purpose: asked.purpose,
      received_by: 'topic' as const,
      expires_at: at(900),
    }
    const statement = buildApprovalStatement({
      installation: this.trust.installation,
      request_id,
      request_hash: lies.answerTo ?? received.request_hash,
      agent: instance,
      instance_key: this.agentKey.kid,
      rebind: lies.rebind ?? 'none',
      authority,
      mode: 'window',
      not_before: at(0),
      not_after: at(3600),
      policy_set: sha256('policies'),
      manifests: {},
      as_of: 0,
      nonce: randomBytes(16).toString('base64url'),
      rule: this.rule,
      approvers: [this.approver],
      now,
    })
    const assertion = this.passkey.answer(statement)
    const assertions = [lies.assertion?.(assertion) ?? assertion]
    await approval.producer.publish('attachments.approval.v1', [this.attachment(request_id)])
    await approval.producer.publish('approvals.v1', [
      {
        type: 'request.received',
        subject: request_id,
        version: 1,
        data: { ...received, ...lies.received?.(received) } as typeof received,
      },
      {
        type: 'request.approved',
        subject: request_id,
        version: 2,
        data: { request_id, statement, statement_hash: jcsHash(statement), assertions },
      },
    ])

    const genuine = grantOf(statement, assertions)
    const grant = lies.grant?.(genuine) ?? genuine
    const [credential_id, other_credential] = [newId('crd', now, systemRandom), newId('crd', now, systemRandom)]
    const intended = (id: string, version: number) => ({
      type: 'credential.intended' as const,
      subject: id,
      key: grant.id,
      version,
      data: {
        credential_id: id,
        grant_id: grant.id,
        agent: instance,
        jkt: this.agentKey.kid,
        audience: ['https://erp.example/'],
        issued_at: at(0),
        expires_at: at(300),
        kid: sha256('credential key'),
      },
    })
    await issuer.producer.publish('grants.v1', [
      { type: 'grant.created', subject: grant.id, version: 1, data: { grant } },
      ...(lies.withoutIntent ? [] : [intended(credential_id, 2)]),
      intended(other_credential, lies.withoutIntent ? 2 : 3),
    ])

    const actor = { agent: instance, credential_id, grant_id: grant.id, request_id, task: authority.task }
    const decisions = [0, 1].map(() => newId('dec', now, systemRandom))
    for (const [n, decision_id] of decisions.entries()) {
      const call_id = newId('call', now, systemRandom)
      const call = { salted_sha256: saltedHash(this.calls[n as 0 | 1]) ?? '' }
      const said = { installation: this.trust.installation, enforcement_point: 'erp-gateway', sequence: n + 1, call_id }
      const outcome = signOutcome(
        {
          ...said,
          decision_id,
          action_digest: call.salted_sha256,
          status: 'succeeded',
          at: at(1),
          ...lies.outcomeAbout,
        },
        lies.outcomeKey ?? this.pointKey,
      )
      const nothing = { calls: 0, cost: {}, egress_bytes: 0 }
      const allow: EventData<'decisions.v1', 'decision.allowed'> = {
        decision_id,
        call_id,
        enforcement_point: 'erp-gateway',
        actor,
        action: { name: 'tools/call', resource: tool, call, arguments: { '/invoice': lies.invoice ?? 'INV-1' } },
        ...(n === 1 ? { call_kept: true as const } : {}),
        permission: 0,
        proof: 'agent_signed',
        reserved: { calls: 1, cost: {}, egress_bytes: 0 },
        labels: [],
        policy_set: sha256('policies'),
        policies: [],
        outcome_due: at(60),
        as_of: 0,
      }
      await pdp.producer.publish('decisions.v1', [
        {
          type: 'decision.allowed',
          subject: decision_id,
          key: grant.id,
          version: 2 * n + 1,
          data: { ...allow, ...lies.allowed?.(allow) },
        },
        {
          type: 'outcome.reported',
          subject: decision_id,
          key: grant.id,
          version: 2 * n + 2,
          data: {
            decision_id,
            grant_id: grant.id,
            enforcement_point: 'erp-gateway',
            sequence: n + 1,
            status: 'succeeded',
            released: nothing,
            outcome,
          },
        },
      ])
    }
    return { request_id, grant, grant_id: grant.id, credential_id, decisions, task: authority.task, instance }
  }
}

export type Told = Awaited<ReturnType<Story['tell']>>

/** Publishes the story on a bus of its own, and runs the test with an evidence service that has all of it in its log. */
export async function told(
  lies: Lies,
  use: (story: Story, ids: Told, evidence: Running, bus: Bus) => Promise<void>,
): Promise<void> {
  using story = new Story()
  await using bus = await embeddedBus({
    dir: story.at.bus,
    partitions: (topic) => topicNamed(topic)?.partitions ?? 1,
    retentionMs: () => undefined,
    inMemory: (topic) => topic === 'heads.v1',
    erasable: (topic) => topicNamed(topic)?.erasable,
    now: () => systemClock.now(),
  })
  const ids = await story.tell(bus, lies)
  {
    await using _evidence = await story.evidence(bus)
  }
  await using evidence = await story.evidence(bus)
  await use(story, ids, evidence, bus)
}

function publicJwk(key: { publicJwk: object }): PublicJwk {
  return key.publicJwk as PublicJwk
}
