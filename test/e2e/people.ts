import { randomBytes } from 'node:crypto'
import {
  buildApprovalStatement,
  grantOf,
  matchRule,
  requestIdOf,
  statementChallenge,
  statementHash,
  verifyRegistration,
} from '@bailiwick/approval-statement'
import { parseAuthority } from '@bailiwick/authority'
import type { ApprovalStatement, Assertion, Attestation, EventData } from '@bailiwick/contracts'
import {
  jcsHash,
  readKeyFile,
  type SigningKey,
  sha256,
  signAccessRequest,
  signInvitation,
} from '@bailiwick/credentials'
import { paths } from '@bailiwick/installation'
import type { Draft } from '@bailiwick/instance'
import { newId } from '@bailiwick/kit'
import { sample, sampleAgentId, sampleAuthority, sampleKey } from '@bailiwick/standalone/sample'
import { softwarePasskey } from '@bailiwick/testkit'
import { eventually, type World } from './world.ts'

export interface Ask {
  agent?: (typeof sample.agents)[number]
  /** Signs instead of the agent's own key. */
  key?: SigningKey<'agent'>
  authority?: unknown
  mode?: 'per_action' | 'window' | 'continuous'
  actionDigest?: string
  /** How a lying service changes the arguments: it drops them, or names others than the agent signed. */
  arguments?: 'kept back' | 'others'
  seconds?: number
  rebind?: 'none' | 'attested'
  /** Makes the request instead of a sample agent, with `key`. */
  workload?: { id: string; attestation: Attestation }
}

export interface Approved {
  requestId: string
  grantId: string
  statement: ApprovalStatement
  assertions: Assertion[]
}

/** The salt for the arguments of an action: issuer and decision points see only a salted hash. */
export const handedOver = { salted_sha256: sha256('its arguments') }

type Received = Extract<EventData<'approvals.v1', 'request.received'>, { kind: 'access' }>

/** The people of a world, and the approval service between them and the bus. */
export class People {
  readonly #world: World
  readonly passkey

  constructor(world: World) {
    this.#world = world
    this.passkey = softwarePasskey({ rpId: 'localhost', origin: world.url })
  }

  static async enrolled(world: World): Promise<People> {
    const people = new People(world)
    await people.enrol()
    return people
  }

  /** The owner becomes the first approver. */
  async enrol(): Promise<void> {
    const { trust, data, approval } = this.#world
    const challenge = randomBytes(32)
    const made = await verifyRegistration({
      response: this.passkey.register(challenge),
      challenge: challenge.toString('base64url'),
      rpId: trust.rp_id,
      origins: trust.origins,
    })
    if (!made.ok) throw new Error(made.detail)
    const { credential_id, public_key } = made.passkey
    const person = { approver_id: sample.owner, name: 'Olivia Owner', groups: [sample.group] }
    const key = readKeyFile(paths(data).keys('invitation'), 'invitation', 'invitation')
    const invitation = signInvitation({ installation: trust.installation, credential_id, public_key, ...person }, key)
    const enrolment_id = `enr_${randomBytes(16).toString('hex')}`
    await approval.producer.publishOne('approvals.v1', {
      type: 'enrolment.offered',
      subject: enrolment_id,
      version: 1,
      data: { enrolment_id, ...person, ...made.passkey, invitation },
    })
    await eventually(() => approval.projection.ledger.registry.get('approver', sample.owner))
  }

  /** `request.received`, as approval publishes it. */
  async ask({ agent = 'reconciler', mode = 'window', seconds = 3600, ...ask }: Ask = {}): Promise<Received> {
    const { trust, clock, random, data, approval } = this.#world
    const key = ask.workload && ask.key ? ask.key : sampleKey(data, agent)
    const sub = ask.workload?.id ?? `${sampleAgentId(agent)}/${sample.instance}`
    const now = clock.now()
    const authority = parseAuthority(ask.authority ?? sampleAuthority)
    if (!authority.ok) throw new Error(authority.detail)
    const iat = Math.floor(now / 1000)
    const request = {
      aud: trust.installation,
      sub,
      iat,
      exp: iat + 600,
      jti: newId('req', now, random),
      authority: authority.authority,
      mode,
      expires_in_seconds: seconds,
      rebind: ask.rebind ?? 'none',
      ...(ask.actionDigest === undefined ? {} : { action_digest: ask.actionDigest }),
      ...(ask.actionDigest === undefined || ask.arguments === 'kept back' ? {} : { arguments: handedOver }),
    } as Parameters<typeof signAccessRequest>[0]
    const jws = signAccessRequest(request, ask.key ?? key)
    const not_after = new Date(now + seconds * 1000).toISOString()
    const received: Received = {
      kind: 'access',
      request_id: requestIdOf(jws),
      request: jws,
      request_hash: jcsHash(JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString())),
      agent: sub,
      instance_key: key.kid,
      authority: authority.authority,
      mode,
      rebind: ask.rebind ?? 'none',
      ...(ask.workload ? { attestation: ask.workload.attestation } : {}),
      ...(ask.actionDigest === undefined ? {} : { action_digest: ask.actionDigest }),
      ...(ask.actionDigest === undefined || ask.arguments === 'kept back'
        ? {}
        : { arguments: ask.arguments === 'others' ? { salted_sha256: sha256('others') } : handedOver }),
      not_before: new Date(now).toISOString(),
      not_after,
      received_by: 'topic',
      expires_at: not_after,
    }
    await approval.producer.publishOne('approvals.v1', {
      type: 'request.received',
      subject: received.request_id,
      version: 1,
      data: received,
    })
    return received
  }

  /** The statement that the console would render, with changes that only a thief would make. */
  statement(received: Received, changes: Partial<ApprovalStatement> = {}): ApprovalStatement {
    const { trust, clock, approval } = this.#world
    const { registry, revocations } = approval.projection.ledger
    const parsed = parseAuthority(received.authority)
    if (!parsed.ok) throw new Error(parsed.detail)
    const rule = matchRule(registry.view(), { agent: received.agent, authority: parsed.authority })
    if (!rule.ok) throw new Error(rule.detail)
    const { request_id, request_hash, agent, instance_key, rebind, authority, mode, action_digest } = received
    const { not_before, not_after } = received
    const statement = buildApprovalStatement({
      ...{ request_id, request_hash, agent, instance_key, rebind, authority, mode, not_before, not_after },
      ...(action_digest === undefined ? {} : { action_digest }),
      ...(received.arguments === undefined ? {} : { arguments: 'shown' as const }),
      ...(mode === 'continuous' && rule.rule.continuous ? { continuous: rule.rule.continuous } : {}),
      installation: trust.installation,
      policy_set: registry.policySet?.hash ?? '',
      manifests: { [sample.toolServer]: registry.get('tool-server', sample.toolServer)?.manifest ?? '' },
      as_of: revocations.sequence,
      nonce: randomBytes(16).toString('base64url'),
      rule: rule.rule,
      approvers: registry.approvers,
      now: clock.now(),
    })
    return { ...statement, ...changes }
  }

  sign(statement: ApprovalStatement): Assertion {
    return this.passkey.sign(statementChallenge(statement))
  }

  /** `request.approved`, with any content. */
  async hand(requestId: string, statement: ApprovalStatement, assertions = [this.sign(statement)]): Promise<Approved> {
    await this.#world.approval.producer.publishOne('approvals.v1', {
      type: 'request.approved',
      subject: requestId,
      version: 2,
      data: { request_id: requestId, statement, statement_hash: statementHash(statement), assertions },
    })
    return { requestId, grantId: grantOf(statement, assertions).id, statement, assertions }
  }

  /** Publishes both at once: the grant is withdrawn before it can exist. */
  approvedAndWithdrawn(
    requestId: string,
    statement: ApprovalStatement,
    assertions: Assertion[],
  ): Draft<'approvals.v1'>[] {
    const statement_hash = statementHash(statement)
    const subject = requestId
    return [
      {
        type: 'request.approved',
        subject,
        version: 2,
        data: { request_id: requestId, statement, statement_hash, assertions },
      },
      { type: 'request.withdrawn', subject, version: 3, data: { request_id: requestId, by: sample.owner } },
    ]
  }

  /** Requested, approved, and folded. */
  async grant(ask: Ask = {}): Promise<Approved> {
    const received = await this.ask(ask)
    const approved = await this.hand(received.request_id, this.statement(received))
    const { projection } = this.#world.approval
    const { trees, refused } = projection.ledger.grants
    const answer = () => refused.get(approved.grantId) ?? trees.get(approved.grantId)
    const tree = await projection.until(answer, 60_000)
    if (typeof tree !== 'object') throw new Error(`no grant: ${tree}`)
    // The service that issues the credential reads the bus on its own, and may read of the grant later than approval.
    const issuer = this.#world.issuer?.projection
    await issuer?.until(() => issuer.ledger.grants.trees.get(approved.grantId), 60_000) // the grant may have ended by then
    return approved
  }

  async withdraw(requestId: string): Promise<void> {
    await this.#world.approval.producer.publishOne('approvals.v1', {
      type: 'request.withdrawn',
      subject: requestId,
      version: 3,
      data: { request_id: requestId, by: sample.owner },
    })
  }
}
