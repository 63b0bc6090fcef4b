import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  buildApprovalStatement,
  buildStepUpStatement,
  grantOf,
  itemIdOf,
  requestIdOf,
  statementChallenge,
  statementHash,
  verifyRegistration,
} from '@bailiwick/approval-statement'
import { parseAuthority } from '@bailiwick/authority'
import type {
  Assertion,
  EventData,
  EventTypeOf,
  Grant,
  ServiceName,
  StepUpEffect,
  TopicName,
} from '@bailiwick/contracts'
import { actionHash, encodeEnvelope, formatSequence, topicNamed } from '@bailiwick/contracts'
import {
  type Action,
  actionDigest,
  actionText,
  type EventPurpose,
  jcsHash,
  outcomeHash,
  readKeyFile,
  type SigningKey,
  saltedHash,
  sha256,
  signAccessRequest,
  signEvent,
  signInvitation,
  signOutcome,
  type Trust,
  thumbprint,
} from '@bailiwick/credentials'
import { type InitialEntities, initialise, keyFileNames, paths, readGenesis } from '@bailiwick/installation'
import { sample, sampleAgentId, sampleAuthority, sampleEntities, sampleKey } from '@bailiwick/standalone/sample'
import { softwarePasskey } from '@bailiwick/testkit'
import type { Draft, GrantLie } from './drafts.ts'
import { writeLog } from './write-log.ts'

type AllowedAction = EventData<'decisions.v1', 'decision.allowed'>['action']

const purposes = {
  issuer: 'issuer-event',
  approval: 'approval-event',
  'policy-decision': 'pdp-event',
  evidence: 'evidence-event',
} as const satisfies Record<ServiceName, EventPurpose>

/** An installation with a faultless log, made by hand so that tests can put any fault into it. */
export class GoodLog implements Disposable {
  readonly data = mkdtempSync(join(tmpdir(), 'audit-'))
  readonly trust: Trust
  /** In log order, by a name for the tests. */
  readonly drafts = new Map<string, Draft>()
  readonly agent = `${sampleAgentId(sample.agents[0])}/${sample.instance}`
  /** For the enforcement point. */
  readonly instance = `${'I'.repeat(21)}A`
  readonly #outcomes = new Map<number, string>()
  #now = Date.parse('2026-11-24T12:00:00.000Z')
  #start = 1
  /** The text behind a call's salted hash, known only to the agent and the enforcement point. */
  readonly #digests = new Map<string, string>()
  readonly #passkey

  /** `prepare`: changes the first registry. */
  constructor(prepare: (entities: InitialEntities) => InitialEntities = (entities) => entities) {
    this.trust = initialise({
      data: this.data,
      publicUrl: 'http://localhost:8420',
      singleOperator: true,
      now: this.#now,
      randomBytes,
      policies: new Map([['all.cedar', Buffer.from('permit(principal, action, resource);')]]),
      entities: prepare(sampleEntities(this.data)),
    })
    this.#passkey = softwarePasskey({ rpId: this.trust.rp_id, origin: this.trust.origins[0] ?? '' })
  }

  get at() {
    return { logDir: paths(this.data).log, trustPath: paths(this.data).trust }
  }

  [Symbol.dispose](): void {
    rmSync(this.data, { recursive: true, force: true })
  }

  /** Adds an event; members that are not given get what an honest service would write. */
  say<N extends TopicName, E extends EventTypeOf<N>>(
    name: string,
    topic: N,
    type: E,
    subject: string,
    data: EventData<N, E>,
    more: Partial<Draft> = {},
  ): void {
    this.#now += 100
    const draft = { topic, type, subject, data, at: this.#now, start: this.#start, ...more }
    this.drafts.set(name, draft as unknown as Draft)
  }

  /** The draft of this name, for a forger. */
  draft<N extends TopicName, E extends EventTypeOf<N>>(name: string): Draft<N, E> {
    const draft = this.drafts.get(name)
    if (draft === undefined) throw new Error(`there is no draft ${name}`)
    return draft as unknown as Draft<N, E>
  }

  /** The services stop and start again. */
  restart(): void {
    this.#start++
  }

  later(ms: number): void {
    this.#now += ms
  }

  iso(ms = 0): string {
    return new Date(this.#now + ms).toISOString()
  }

  /** Signs, numbers and chains the events. */
  leaves(): Uint8Array[] {
    const ends = new Map<string, { sequence: number; previous: string }>()
    const lastOf = new Map<string, string>()
    return [...this.drafts.values()].map((draft, n) => {
      const definition = topicNamed(draft.topic)
      const service = definition?.writer as ServiceName
      const source = `/${service}/start-${draft.start}`
      const end = ends.get(source) ?? { sequence: 0, previous: lastOf.get(service) ?? 'none' }
      const sequence = formatSequence(end.sequence + 1)
      const unsigned = encodeEnvelope({
        specversion: '1.0',
        id: `evt_${String(n).padStart(20, '0')}`,
        source,
        type: draft.type,
        time: new Date(draft.at).toISOString(),
        subject: draft.subject,
        datacontenttype: 'application/json',
        dataschema: `urn:bailiwick:schema:${draft.topic}:${draft.type}`,
        partitionkey: draft.key ?? draft.subject,
        ...(draft.version === undefined ? {} : { version: draft.version }),
        sequence,
        previous: end.previous,
        data: draft.data,
      })
      const bytes = signEvent(unsigned, this.eventKey(draft.signer ?? service))
      ends.set(source, { sequence: end.sequence + 1, previous: sha256(bytes) })
      lastOf.set(service, `${source}#${sequence}:${sha256(bytes)}`)
      return bytes
    })
  }

  eventKey(service: ServiceName): SigningKey<EventPurpose> {
    const purpose = purposes[service]
    return readKeyFile(paths(this.data).keys(service), keyFileNames[purpose], purpose)
  }

  /** Writes a log of these leaves, signed with the log's own key. */
  write(leaves: readonly Uint8Array[] = this.leaves()): void {
    writeLog(this.data, leaves)
  }

  /** Changes one of the log's files. */
  put(path: string, bytes: Uint8Array): void {
    writeFileSync(join(this.at.logDir, path), bytes)
  }

  /** The first registry, and the first approver with the invitation. */
  async begin(): Promise<void> {
    for (const { type, id, value, jws } of readGenesis(this.data).entities) {
      const data = { entity: { type, id }, value, hash: jcsHash(value), authorization: { kind: 'root', jws } }
      const said = data as unknown as EventData<'registry.v1', 'agent.registered'>
      this.say(`${type} ${id}`, 'registry.v1', `${type}.registered` as 'agent.registered', `${type} ${id}`, said, {
        version: 1,
      })
    }
    const challenge = randomBytes(32)
    const verified = await verifyRegistration({
      response: this.#passkey.register(challenge),
      challenge: challenge.toString('base64url'),
      rpId: this.trust.rp_id,
      origins: this.trust.origins,
    })
    if (!verified.ok) throw new Error(verified.detail)
    const { credential_id, public_key, sign_count } = verified.passkey
    const person = { approver_id: sample.owner, name: 'Olga', groups: [sample.group], credential_id, public_key }
    const invitationKey = readKeyFile(paths(this.data).keys('invitation'), 'invitation', 'invitation')
    const invitation = signInvitation({ installation: this.trust.installation, ...person }, invitationKey)
    const offered = { enrolment_id: `enr_${'0'.repeat(20)}`, ...person, sign_count, invitation }
    this.say('offer', 'approvals.v1', 'enrolment.offered', offered.enrolment_id, offered, { version: 1 })
    const credentials = [{ credential_id, public_key, sign_count, registered_at: this.iso() }]
    const value = { id: sample.owner, name: 'Olga', groups: [sample.group], credentials }
    const entity = { type: 'approver' as const, id: sample.owner }
    const data = {
      entity,
      value,
      hash: jcsHash(value),
      authorization: { kind: 'invitation' as const, jws: invitation },
    }
    this.say('approver', 'registry.v1', 'approver.registered', `approver ${sample.owner}`, data, { version: 1 })
  }

  /** A request, its approval, the grant, and a credential, all correctly signed. Returns the grant's id. */
  grant(name: string, lie: GrantLie = {}): string {
    const agentKey = sampleKey(this.data, 'reconciler')
    const asked = {
      aud: this.trust.installation,
      sub: this.agent,
      iat: Math.floor(this.#now / 1000),
      exp: Math.floor(this.#now / 1000) + 600,
      jti: name,
      authority: structuredClone(sampleAuthority) as unknown as Record<string, unknown>,
      mode: 'window' as const,
      expires_in_seconds: 3600,
      ...lie.asked,
    }
    const request = signAccessRequest(asked, agentKey)
    const own = lie.item === undefined ? requestIdOf(request) : itemIdOf(request, lie.item)
    const requestId = lie.requestId ?? own
    const part = lie.item === undefined ? {} : { item: { task: requestIdOf(request), index: lie.item, count: 2 } }
    const parsed = parseAuthority(sampleAuthority)
    if (!parsed.ok) throw new Error(parsed.detail)
    const window = { not_before: this.iso(), not_after: this.iso(3600_000) }
    const about = { agent: this.agent, instance_key: agentKey.kid, mode: 'window' as const, rebind: 'none' as const }
    const received = {
      kind: 'access' as const,
      request_id: requestId,
      ...part,
      request,
      request_hash: jcsHash(asked),
      ...about,
      authority: parsed.authority,
      ...window,
      received_by: 'topic' as const,
      expires_at: this.iso(600_000),
    }
    this.say(`${name} received`, 'approvals.v1', 'request.received', requestId, received, { version: 1 })
    const rule = this.draft<'registry.v1', 'rule.registered'>('rule tasks').data.value
    const policySet = this.draft<'registry.v1', 'policy-set.registered'>('policy-set active').data.value.hash
    const approver = this.draft<'registry.v1', 'approver.registered'>('approver').data.value
    const server = this.draft<'registry.v1', 'tool-server.registered'>(`tool-server ${sample.toolServer}`).data.value
    const statement = buildApprovalStatement({
      installation: this.trust.installation,
      request_id: requestId,
      request_hash: received.request_hash,
      ...about,
      ...window,
      authority: { ...parsed.authority, budget: { calls: 8, cost: { EUR: '1000.00' } } },
      rule,
      approvers: [approver],
      policy_set: policySet,
      manifests: { [server.id]: server.manifest },
      as_of: 0,
      nonce: randomBytes(16).toString('base64url'),
      now: this.#now,
      ...lie.statement,
    })
    const assertions: Assertion[] = [this.#passkey.sign(statementChallenge(statement))]
    const grant = grantOf(statement, assertions)
    const approved = { request_id: requestId, statement, statement_hash: grant.statement_hash, assertions }
    this.say(`${name} approved`, 'approvals.v1', 'request.approved', requestId, approved, { version: 2 })
    this.say(`${name} grant`, 'grants.v1', 'grant.created', grant.id, { grant }, { version: 1 })
    const credential = { credential_id: `crd_${name.padEnd(20, '0')}`, grant_id: grant.id }
    const intended = {
      ...credential,
      agent: this.agent,
      jkt: thumbprint(agentKey.publicJwk),
      audience: ['http://localhost:8420'],
      issued_at: this.iso(),
      expires_at: this.iso(300_000),
      attestation: { kind: 'registered_key' as const, attested_at: this.iso() },
      kid: readKeyFile(paths(this.data).keys('issuer'), 'credential', 'credential').kid,
    }
    const key = grant.id
    const { credential_id: id } = credential
    this.say(`${name} intended`, 'grants.v1', 'credential.intended', id, intended, { key, version: 2 })
    const issued = { ...credential, token_hash: sha256('the token') }
    this.say(`${name} issued`, 'grants.v1', 'credential.issued', id, issued, { key, version: 3 })
    return grant.id
  }

  /** An ALLOW of the grant `of`: a read without an amount, otherwise an adjustment. Its event holds the call under a salt. */
  allow(name: string, of: string, version: number, amount?: string): void {
    const { grant } = this.draft<'grants.v1', 'grant.created'>(`${of} grant`).data
    const resource = { type: 'tool', id: `${sample.toolServer}/${amount === undefined ? 'read' : 'adjust'}` }
    const properties = amount === undefined ? {} : { amount, currency: 'EUR' }
    const decisionId = `dec_${name.replaceAll(' ', '-').padEnd(20, '0')}`
    const allowed = {
      decision_id: decisionId,
      call_id: `call_${name.replaceAll(' ', '-').padEnd(20, '0')}`,
      enforcement_point: sample.enforcementPoint,
      instance: this.instance,
      actor: {
        agent: grant.agent,
        credential_id: `crd_${of.padEnd(20, '0')}`,
        grant_id: grant.id,
        request_id: grant.request_id,
        task: grant.authority.task,
      },
      action: {
        name: 'tools/call',
        resource,
        call: this.#salted({ name: 'tools/call', resource, properties }),
        ...(amount === undefined ? {} : { arguments: { '/amount': amount, '/currency': 'EUR' } }),
      },
      permission: amount === undefined ? 0 : 1,
      proof: 'agent_signed' as const,
      proof_id: sha256(`the proof of ${name}`),
      reserved: { calls: 1, egress_bytes: 0, cost: amount === undefined ? {} : { EUR: amount } },
      labels: [],
      owners: [sample.owner],
      policy_set: grant.statement.policy_set,
      policies: [],
      outcome_due: this.iso(60_000),
      as_of: 0,
    }
    this.say(name, 'decisions.v1', 'decision.allowed', decisionId, allowed, { key: grant.id, version })
  }

  #salted(action: Action): { salted_sha256: string } {
    const salt = randomBytes(16).toString('base64url')
    const salted_sha256 = saltedHash({ salt, text: actionText(action) }) ?? ''
    this.#digests.set(salted_sha256, actionDigest(action))
    return { salted_sha256 }
  }

  /** The action as an ALLOW has it when humans approved it by its digest. */
  digested(action: AllowedAction) {
    const { name, resource, arguments: named } = action
    const action_digest = this.#digests.get(actionHash(action)) ?? actionHash(action)
    return { name, resource, action_digest, ...(named === undefined ? {} : { arguments: named }) }
  }

  /** The agent requests one more action of the grant `of`, and a person approves it. Returns the id of the request. */
  stepUp(
    name: string,
    of: string,
    action: AllowedAction,
    effect: (grant: Grant) => StepUpEffect = () => ({ kind: 'action' }),
  ): string {
    const { grant } = this.draft<'grants.v1', 'grant.created'>(`${of} grant`).data
    const { name: what, resource, action_digest } = this.digested(action)
    const words = { salted_sha256: sha256('its words') }
    const asked = {
      aud: this.trust.installation,
      sub: grant.agent,
      iat: Math.floor(this.#now / 1000),
      exp: Math.floor(this.#now / 1000) + 600,
      jti: name,
      authority: structuredClone(sampleAuthority) as unknown as Record<string, unknown>,
      mode: 'per_action' as const,
      expires_in_seconds: 60,
      action_digest,
      arguments: words,
      grant_id: grant.id,
    }
    const request = signAccessRequest(asked, sampleKey(this.data, 'reconciler'))
    const request_id = requestIdOf(request)
    const received = {
      kind: 'step_up' as const,
      request_id,
      request,
      request_hash: jcsHash(asked),
      agent: grant.agent,
      instance_key: grant.instance_key,
      grant_id: grant.id,
      action: { name: what, resource, action_digest },
      arguments: words,
      denial: { decision_id: `dec_${'w'.repeat(20)}`, reason: 'step_up_required' },
      received_by: 'http' as const,
      expires_at: this.iso(600_000),
    }
    this.say(`${name} received`, 'approvals.v1', 'request.received', request_id, received, { version: 1 })
    const statement = buildStepUpStatement({
      installation: this.trust.installation,
      request_id,
      grant_id: grant.id,
      action_digest,
      arguments: 'shown',
      effect: effect(grant),
      not_after: this.iso(300_000),
      nonce: randomBytes(16).toString('base64url'),
      now: this.#now,
    })
    const assertions = [this.#passkey.sign(statementChallenge(statement))]
    const approved = { request_id, statement, statement_hash: statementHash(statement), assertions }
    this.say(`${name} approved`, 'approvals.v1', 'request.approved', request_id, approved, { version: 2 })
    return request_id
  }

  /** The enforcement point's outcome for an ALLOW, following its outcome with the previous number. */
  outcome(
    name: string,
    of: string,
    version: number,
    sequence: number,
    status: 'succeeded' | 'continued' | 'not_executed' | 'not_observed',
    sent: {
      egress_bytes?: number
      answered?: number
      cost?: { amount: string; currency: string }
      enforced_by?: 'in_process'
    } = {},
  ): void {
    const allow = this.draft<'decisions.v1', 'decision.allowed'>(of)
    const { decision_id, call_id, enforcement_point, instance, actor, action, reserved } = allow.data
    const previous = this.#outcomes.get(sequence - 1)
    const outcome = signOutcome(
      {
        installation: this.trust.installation,
        enforcement_point,
        ...(instance === undefined ? {} : { instance }),
        sequence,
        ...(instance === undefined || sequence === 1 ? {} : { previous: previous ?? sha256('none') }),
        call_id,
        decision_id,
        action_digest: actionHash(action),
        status,
        at: this.iso(),
        ...sent,
      },
      sampleKey(this.data, 'point-outcome'),
    )
    this.#outcomes.set(sequence, outcomeHash(outcome))
    const released = status === 'not_executed' ? reserved : { calls: 0, egress_bytes: 0, cost: {} }
    const { grant_id } = actor
    const data = { decision_id, grant_id, enforcement_point, sequence, status, released, outcome }
    this.say(name, 'decisions.v1', 'outcome.reported', decision_id, data, { key: grant_id, version })
  }
}

/** A story in which everything happens that can happen in a faultless log. */
export async function goodLog(...more: ConstructorParameters<typeof GoodLog>): Promise<GoodLog> {
  const log = new GoodLog(...more)
  await log.begin()
  const id = log.grant('task')
  log.allow('read', 'task', 1)
  log.outcome('read done', 'read', 2, 1, 'succeeded')
  log.allow('adjust', 'task', 3, '400.00')
  log.allow('adjust again', 'task', 4, '500.00')
  log.outcome('adjust done', 'adjust', 5, 2, 'succeeded')
  log.outcome('not adjusted', 'adjust again', 6, 3, 'not_executed')
  log.allow('adjust more', 'task', 7, '500')
  log.allow('lost race', 'task', 7, '100') // another instance had number 7
  const { decision_id, call_id } = log.draft<'decisions.v1', 'decision.allowed'>('adjust more').data
  const taken = { decision_id, call_id, grant_id: id }
  log.say('taken back', 'decisions.v1', 'decision.abandoned', decision_id, taken, { key: id, version: 8 })
  const denied = { decision_id: `dec_${'d'.repeat(20)}`, reason: 'budget_exhausted', requestable: true }
  log.say('denied', 'decisions.v1', 'decision.denied', denied.decision_id, denied, { key: id })
  log.restart()
  log.allow('last read', 'task', 9)
  const { request_id } = log.draft<'approvals.v1', 'request.approved'>('task approved').data
  const withdrawn = { request_id, by: sample.owner, grant_id: id }
  log.say('withdrawn', 'approvals.v1', 'request.withdrawn', request_id, withdrawn, { version: 3 })
  const revoked = {
    revocation_id: `rev_${'0'.repeat(20)}`,
    kind: 'grant' as const,
    target: id,
    reason: 'request_withdrawn',
    by: { kind: 'approver' as const, id: sample.owner },
  }
  log.say('revoked', 'revocations.v1', 'revocation.declared', `grant ${id}`, revoked, {
    key: 'revocations',
    version: 1,
  })
  const due = log.draft<'decisions.v1', 'decision.allowed'>('last read').data
  const missing = { decision_id: due.decision_id, grant_id: id, due: due.outcome_due }
  log.later(60_000)
  log.say('missing', 'decisions.v1', 'outcome.missing', due.decision_id, missing, { key: id, version: 10 })
  const gap = { producer: '/issuer/start-1', service: 'issuer', from: 1, to: 2, head_time: log.iso() }
  log.say('finding', 'findings.v1', 'gap.detected', '/issuer/start-1', gap)
  const { grant } = log.draft<'grants.v1', 'grant.created'>('task grant').data
  log.say('expired', 'grants.v1', 'grant.expired', id, { grant }, { version: 4 })
  return log
}
