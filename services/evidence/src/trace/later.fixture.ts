import { randomBytes } from 'node:crypto'
import { buildRegistryStatement, buildStepUpStatement, requestIdOf } from '@bailiwick/approval-statement'
import type { Bus } from '@bailiwick/bus'
import type { Entity, EntityType, EventData, Grant } from '@bailiwick/contracts'
import {
  type Delegation,
  delegationId,
  generateKey,
  jcsHash,
  type SigningKey,
  sha256,
  signAccessRequest,
  signDelegation,
} from '@bailiwick/credentials'
import type { Draft } from '@bailiwick/instance'
import { newId, systemClock, systemRandom } from '@bailiwick/kit'
import type { Running } from '../evidence.fixture.ts'
import type { Story, Told } from './story.fixture.ts'

type Allowed = EventData<'decisions.v1', 'decision.allowed'>
type Intended = EventData<'grants.v1', 'credential.intended'>
type Redeemed = EventData<'grants.v1', 'delegation.redeemed'>

/** An agent other than the agent of the story. */
export interface Helper {
  id: string
  key: SigningKey<'agent'>
}
export const helper = (id: string): Helper => ({ id, key: generateKey('agent') })

export const tool = (id: string) => ({ type: 'tool', id })
export const mayCall = (...ids: string[]) => ids.map((id) => ({ actions: ['tools/call'], resource: tool(id) }))

const iso = (ms: number) => new Date(systemClock.now() + ms).toISOString()
const id = (prefix: string) => newId(prefix as 'dec', systemClock.now(), systemRandom)

/** The continuation of a task after its story: one event after the other, as honest services publish them, or as a lying one does. */
export class Later {
  readonly #story: Story
  readonly #ids: Told
  readonly #evidence: Running
  readonly #bus: Bus
  /** Versions of the tree, on the two topics that have them. */
  #grants = 3
  #decisions = 4

  constructor(story: Story, ids: Told, evidence: Running, bus: Bus) {
    this.#story = story
    this.#ids = ids
    this.#evidence = evidence
    this.#bus = bus
  }

  get grant(): Grant {
    return this.#ids.grant
  }

  async #say<T extends 'grants.v1' | 'approvals.v1' | 'decisions.v1' | 'registry.v1'>(
    by: 'issuer' | 'approval' | 'policy-decision',
    topic: T,
    ...drafts: Draft<T>[]
  ): Promise<void> {
    await using participant = await this.#story.participant(this.#bus, by)
    const said = await participant.producer.publish(topic, drafts)
    for (const { id: eventId } of said) await this.#evidence.integrated(eventId, 60_000)
  }

  /** The agent passes a part of its grant on, and the issuer records that it was redeemed. */
  async passesOn(to: Helper, signed: Partial<Delegation>, says: Partial<Redeemed> = {}, by = this.#story.agentKey) {
    const { grant } = this
    const now = Math.floor(systemClock.now() / 1000)
    const authority = { type: 'bailiwick_task', task: 'reconcile-q3', permissions: mayCall('invoices.read') }
    const claims: Delegation = {
      ...{ iss: grant.agent, sub: to.id, aud: this.#story.trust.installation, iat: now, exp: now + 600 },
      ...{ jti: id('evt'), cnf: { jkt: to.key.kid }, grant: grant.id, as_of: grant.as_of },
      ...{ parent_hash: grant.statement_hash, authorization_details: [{ ...authority, budget: { calls: 1 } }] },
      ...signed,
    }
    const delegation = signDelegation(claims, by)
    const data = {
      ...{ delegation_id: delegationId(delegation) ?? '', grant_id: grant.id, delegation, agent: claims.sub },
      ...{ instance_key: claims.cnf.jkt, authority: claims.authorization_details[0] as Redeemed['authority'] },
      not_after: new Date(claims.exp * 1000).toISOString(),
      ...says,
    }
    const { delegation_id } = data
    const type = 'delegation.redeemed'
    await this.#say('issuer', 'grants.v1', {
      type,
      subject: delegation_id,
      key: grant.id,
      version: ++this.#grants,
      data,
    })
    return delegation_id
  }

  /** The grant moves to another instance. */
  async moves(to: Helper): Promise<void> {
    const grant = { ...this.grant, agent: to.id, instance_key: to.key.kid }
    const data = { grant, cause: 'newly attested' }
    await this.#say('issuer', 'grants.v1', { type: 'grant.rebound', subject: grant.id, version: ++this.#grants, data })
  }

  /** An agent gets a credential and acts with it. Returns the decision's id. */
  async acts(
    by: Helper,
    intends: Partial<Intended> = {},
    says: Partial<Allowed> = {},
    inTheNameOf?: string,
  ): Promise<string> {
    const { grant } = this
    const [credential_id, decision_id] = [id('crd'), id('dec')]
    const intended: Intended = {
      ...{ credential_id, grant_id: grant.id, agent: by.id, jkt: by.key.kid, audience: ['https://erp.example/'] },
      ...{ issued_at: iso(0), expires_at: iso(300_000), kid: sha256('credential key') },
      ...intends,
    }
    const { delegation_id } = intended
    const ofSub = delegation_id === undefined ? {} : { sub_agent: by.id, delegation_id }
    const byItself = { agent: delegation_id === undefined ? by.id : grant.agent, ...ofSub }
    const acting = inTheNameOf === undefined ? byItself : { agent: inTheNameOf }
    const { request_id } = grant
    const allowed: Allowed = {
      ...{ decision_id, call_id: id('call'), enforcement_point: 'erp-gateway', permission: 0, proof: 'agent_signed' },
      actor: { ...acting, credential_id, grant_id: grant.id, request_id, task: 'reconcile-q3' },
      action: { name: 'tools/call', resource: tool('invoices.read'), call: { salted_sha256: sha256(decision_id) } },
      ...{
        reserved: { calls: 1, cost: {}, egress_bytes: 0 },
        labels: [],
        policies: [],
        policy_set: sha256('policies'),
      },
      ...{ outcome_due: iso(60_000), as_of: 0, ...says },
    }
    const key = grant.id
    const type = 'credential.intended'
    await this.#say('issuer', 'grants.v1', {
      type,
      subject: credential_id,
      key,
      version: ++this.#grants,
      data: intended,
    })
    const decided = { type: 'decision.allowed' as const, subject: decision_id, key, version: ++this.#decisions }
    await this.#say('policy-decision', 'decisions.v1', { ...decided, data: allowed })
    return decision_id
  }

  /** The agent asks for one more action of its grant, and the approver says yes to it. Returns the request's id. */
  async saysYes(action_digest: string, signedAbout = action_digest, passkey?: string): Promise<string> {
    const { grant } = this
    const { installation } = this.#story.trust
    const now = systemClock.now()
    const words = { salted_sha256: sha256('its words') }
    const asked = {
      ...{ aud: installation, sub: grant.agent, iat: Math.floor(now / 1000), exp: Math.floor(now / 1000) + 60 },
      ...{ jti: id('evt'), authority: grant.authority, mode: 'per_action' as const, expires_in_seconds: 60 },
      ...{ action_digest, arguments: words, grant_id: grant.id },
    }
    const request = signAccessRequest(asked, this.#story.agentKey)
    const request_id = requestIdOf(request)
    const action = { name: 'tools/call', resource: tool('invoices.read'), action_digest }
    const received = {
      ...{ kind: 'step_up' as const, request_id, request, request_hash: jcsHash(asked), agent: asked.sub, action },
      ...{ instance_key: this.#story.agentKey.kid, arguments: words, grant_id: grant.id, received_by: 'http' as const },
      ...{ denial: { decision_id: id('dec'), reason: 'step_up_required' }, expires_at: iso(600_000) },
    }
    const nonce = randomBytes(16).toString('base64url')
    const facts = {
      installation,
      request_id,
      grant_id: grant.id,
      action_digest: signedAbout,
      arguments: 'shown' as const,
      effect: { kind: 'action' as const },
    }
    const statement = buildStepUpStatement({ ...facts, not_after: iso(300_000), nonce, now })
    const answer = this.#story.passkey.answer(statement)
    const assertions = [{ ...answer, credential_id: passkey ?? answer.credential_id }]
    const approved = { request_id, statement, statement_hash: jcsHash(statement), assertions }
    await this.#say(
      'approval',
      'approvals.v1',
      { type: 'request.received', subject: request_id, version: 1, data: received },
      { type: 'request.approved', subject: request_id, version: 2, data: approved },
    )
    return request_id
  }

  /** The approver signs that an entity changes from now on, or is retired. */
  async changes<T extends EntityType>(type: T, before: Entity<T>, value?: Entity<T>): Promise<void> {
    const { installation } = this.#story.trust
    const entity = { type, id: before.id }
    const hashes = { before: jcsHash(before), ...(value === undefined ? {} : { after: jcsHash(value) }) }
    const facts = { installation, change_id: id('req'), proposer: this.#story.approver.id, not_after: iso(300_000) }
    const nonce = randomBytes(16).toString('base64url')
    const entities = [{ ...entity, version: 2, ...hashes }]
    const statement = buildRegistryStatement({ ...facts, nonce, entities, now: systemClock.now() })
    const authorization = { kind: 'approvers', statement, assertions: [this.#story.passkey.answer(statement)] }
    const data = { entity, ...(value === undefined ? {} : { value, hash: hashes.after }), authorization }
    const draft = { type: `${type}.${value === undefined ? 'retired' : 'changed'}`, subject: `${type} ${before.id}` }
    await this.#say('issuer', 'registry.v1', { ...draft, version: 2, data } as Draft<'registry.v1'>)
  }
}
