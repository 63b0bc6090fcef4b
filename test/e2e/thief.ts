import { setTimeout as pause } from 'node:timers/promises'
import { grantOf } from '@bailiwick/approval-statement'
import type { ApprovalStatement, Assertion, ServiceName } from '@bailiwick/contracts'
import { type AccessToken, signAccessToken } from '@bailiwick/credentials'
import { errorCode } from '@bailiwick/errors'
import type { Draft, Participant } from '@bailiwick/instance'
import { newId } from '@bailiwick/kit'
import type { Approved } from './people.ts'
import { eventually, type World } from './world.ts'

const purposes = {
  issuer: 'issuer-event',
  approval: 'approval-event',
  'policy-decision': 'pdp-event',
} as const satisfies Partial<Record<ServiceName, string>>

/** A thief who took over a service: all of its keys, and nothing else. */
export class Thief {
  readonly #world: World
  readonly #speaks: Participant

  private constructor(world: World, speaks: Participant) {
    this.#world = world
    this.#speaks = speaks
  }

  static async of(world: World, service: keyof typeof purposes): Promise<Thief> {
    return new Thief(world, await world.participant(service, purposes[service]))
  }

  get projection() {
    return this.#speaks.projection
  }

  get producer() {
    return this.#speaks.producer
  }

  #tree(grantId: string) {
    const tree = this.#speaks.projection.ledger.grants.trees.get(grantId)
    if (!tree) throw new Error('no such grant')
    return tree
  }

  /** Repeats it a few times where the issuer's own event came first: each event is read when its turn comes. */
  async #say(tree: string, draft: (version: number) => Draft<'grants.v1'>, tries = 20): Promise<void> {
    try {
      await this.#speaks.producer.publishOne('grants.v1', draft(this.#tree(tree).version + 1))
    } catch (error) {
      if (tries === 0 || errorCode(error) !== 'state_contended') throw error
      await pause(100)
      await this.#say(tree, draft, tries - 1)
    }
  }

  /** A credential for the grant, signed with the issuer's own key; nothing of it is recorded. */
  credential({ grantId, statement, requestId }: Approved, changes: Partial<AccessToken> = {}): AccessToken {
    const { clock, url, random } = this.#world
    const iat = Math.floor(clock.now() / 1000)
    const { agent, instance_key, as_of, mode, authority } = statement
    return {
      ...{ iss: url, aud: url, sub: agent, client_id: agent, iat, exp: iat + 300 },
      jti: newId('crd', clock.now(), random),
      cnf: { jkt: instance_key },
      authorization_details: [authority],
      grant: {
        id: grantId,
        root: grantId,
        request: requestId,
        mode,
        statement_hash: grantId.slice('grt_'.length),
        as_of,
      },
      ...changes,
    } as AccessToken
  }

  sign(claims: AccessToken): string {
    return signAccessToken(claims, this.#world.key('issuer', 'credential', 'credential'))
  }

  /** `credential.intended` for these claims. */
  async intend(claims: AccessToken): Promise<void> {
    const tree = await eventually(() => this.#speaks.projection.ledger.grants.trees.get(claims.grant.root))
    await this.#say(tree.id, (version) => ({
      type: 'credential.intended',
      subject: claims.jti,
      key: tree.id,
      version,
      data: {
        credential_id: claims.jti,
        grant_id: claims.grant.id,
        agent: claims.act?.sub ?? claims.sub,
        ...(claims.grant.delegation === undefined ? {} : { delegation_id: claims.grant.delegation }),
        jkt: claims.cnf.jkt,
        audience: [claims.aud].flat(),
        issued_at: new Date(claims.iat * 1000).toISOString(),
        expires_at: new Date(claims.exp * 1000).toISOString(),
        kid: this.#world.key('issuer', 'credential', 'credential').kid,
      },
    }))
  }

  /** Recorded, then signed: everything that an issuer does. */
  async mint(approved: Approved, changes: Partial<AccessToken> = {}): Promise<string> {
    const claims = this.credential(approved, changes)
    await this.intend(claims)
    return this.sign(claims)
  }

  /** `grant.created`, with any content. */
  async create(requestId: string, statement: ApprovalStatement, assertions: Assertion[]): Promise<Approved> {
    const grant = grantOf(statement, assertions)
    await this.#speaks.producer.publishOne('grants.v1', {
      type: 'grant.created',
      subject: grant.id,
      version: 1,
      data: { grant },
    })
    return { requestId, grantId: grant.id, statement, assertions }
  }

  /** The events of the grant's life, as its issuer writes them. */
  async tell(type: 'grant.completed' | 'grant.expired' | 'grant.suspended', grantId: string): Promise<void> {
    const { grant } = this.#tree(grantId)
    await this.#say(grantId, (version) => ({ type, subject: grantId, version, data: { grant } }))
  }
}
