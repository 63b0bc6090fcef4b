import { createAgent } from '@bailiwick/agent'
import type { EventData } from '@bailiwick/contracts'
import {
  type AccessToken,
  type Delegation,
  delegationId,
  readKeyFile,
  type SigningKey,
  signAccessToken,
  signDelegation,
} from '@bailiwick/credentials'
import { errorCode } from '@bailiwick/errors'
import { paths } from '@bailiwick/installation'
import { newId } from '@bailiwick/kit'
import { sample, sampleAgentId, sampleAuthority, sampleKey } from '@bailiwick/standalone/sample'
import { type CallAnswer, Point } from '../e2e/agent-side.ts'
import { by, type SubAgent, SubAgents } from '../e2e/sub-agents.ts'
import { answered, eventually, forgedEvent, Scene } from './scene.ts'

export const [readOnly, adjusting] = sampleAuthority.permissions
/**
 * The authority that the humans approved. It is so deep and so wide that depth and width refuse nothing by chance, yet
 * one more of each can still be expressed.
 */
export const familyAuthority = {
  ...sampleAuthority,
  permissions: [readOnly, { ...adjusting, arguments: 'closed' as const }],
  delegates: Array.from({ length: 8 }, (_, n) => sampleAgentId(`helper-${n}`)),
  budget: { ...sampleAuthority.budget, egress_bytes: 1000 },
  max_depth: 7,
  max_children: 999,
}

/** One delegation, and what a stolen issuer writes about it. */
export interface Link {
  text: string
  claims: Delegation
  from: SubAgent
  to: SubAgent
  /** `dlg_…` of the parent that the event states; undefined: the grant. */
  parent: string | undefined
  /** Overrides of other members of the event. */
  said?: Partial<Redeemed>
}
type Redeemed = EventData<'grants.v1', 'delegation.redeemed'>
export const idOf = ({ text }: Pick<Link, 'text'>) => delegationId(text) ?? ''
const hashOf = (link: Link) => idOf(link).slice('dlg_'.length)

/**
 * A chain that an attacker wants to act by: the links that are written, in this order, and the agent that then claims
 * to act under the last link.
 */
export interface Chain {
  what: string
  written: Link[]
  /** From the grant down, as the credential names them. */
  named: Link[]
  good: boolean
}

/** One approved task whose agent has sub-agents, and an attacker who has both keys of the issuer. */
export class Family implements AsyncDisposable {
  readonly scene: Scene
  readonly #subs: SubAgents
  readonly #point: Point
  readonly #credentialKey: SigningKey<'credential'>
  grantId = ''
  #serial = 0

  private constructor(scene: Scene, subs: SubAgents) {
    this.scene = scene
    this.#subs = subs
    const { system } = scene
    this.#point = new Point({ ...system, http: system.host.http })
    this.#credentialKey = readKeyFile(paths(system.data).keys('issuer'), 'credential', 'credential')
  }

  static async open(): Promise<Family> {
    const subs = new SubAgents(8)
    // Long time-outs: many are asked at once, and a busy machine is not an attack.
    const env = { BAILIWICK_DECISION_DEADLINE: '10s', BAILIWICK_MAX_STALENESS: '10s' }
    return new Family(await Scene.open({ entities: subs.entities, env }), subs)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.scene[Symbol.asyncDispose]()
  }

  /** Starts a new task, under which links are made from then on. */
  async approve(change: object = {}): Promise<void> {
    const { scene } = this
    const authority = { ...familyAuthority, ...change, task: `family-${++this.#serial}` }
    const requestId = await scene.asked(scene.agent(), authority)
    const { grant_id: grantId = '' } = await answered(() => scene.approver.approve(requestId))
    this.grantId = grantId
    await eventually('the decision point knows of the grant', () => this.#tree)
  }

  get #tree() {
    return this.scene.ledger.grants.trees.get(this.grantId)
  }

  /** The task's tree, as every reader has it. */
  get tree() {
    const tree = this.#tree
    if (!tree) throw new Error('there is no grant')
    return tree
  }

  get grant() {
    return this.tree.grant
  }

  get authority() {
    return this.grant.authority
  }

  /** 0: the agent whose grant it is; then its sub-agents. */
  member(n: number): SubAgent {
    const { data } = this.scene.system
    if (n > 0) return this.#subs.at(n - 1)
    return { id: `${sampleAgentId('reconciler')}/${sample.instance}`, key: sampleKey(data, 'reconciler') }
  }

  /** Signs as an agent's SDK would, unless the caller overrides a member. */
  link(above: Link | undefined, to: SubAgent, change: Partial<Delegation> = {}, by?: SigningKey<'agent'>): Link {
    const { grant } = this
    const from = above?.to ?? this.member(0)
    const iat = Math.floor(Date.now() / 1000)
    const claims = {
      iss: from.id,
      sub: to.id,
      aud: this.scene.system.trust.installation,
      iat,
      exp: Math.floor(Date.parse(grant.not_after) / 1000),
      jti: `link-${++this.#serial}`,
      cnf: { jkt: to.key.kid },
      grant: grant.id,
      as_of: grant.as_of,
      parent_hash: above ? hashOf(above) : grant.statement_hash,
      authorization_details: [this.authority],
      ...change,
    } as Delegation
    return { text: signDelegation(claims, by ?? from.key), claims, from, to, parent: above && idOf(above) }
  }

  /** A chain down through these members, with every link correct. */
  descent(members: readonly number[]): Link[] {
    const links: Link[] = []
    for (const n of members) links.push(this.link(links.at(-1), this.member(n)))
    return links
  }

  /** Writes every link as the issuer, and asks the decision point with a credential for the last link of each chain. */
  async ask(chains: readonly Chain[]): Promise<CallAnswer[]> {
    const { scene } = this
    const key = scene.stolenKey('issuer')
    let version = this.#tree?.version ?? 0
    const event = (type: string, subject: string, data: unknown) => ({
      key: this.grantId,
      ...forgedEvent('grants.v1', { type, subject, key: this.grantId, version: ++version, data }, key),
    })
    const tokens = chains.map(({ named }) => this.#claims(named))
    const events = chains.flatMap((chain, n) => [
      ...chain.written.map((link) => event('delegation.redeemed', idOf(link), recordOf(link, this.grantId))),
      event('credential.intended', tokens[n]?.jti ?? '', this.#intent(tokens[n] as AccessToken)),
    ])
    const positions = await scene.bus.publish('grants.v1', events as never)
    const last = positions.at(-1)
    if (!last) throw new Error('nothing was written')
    await scene.pdp.projection.waitFor(last, 30_000)
    if (this.#tree?.version !== version) throw new Error('what was written does not count: nothing is proved by it')
    return Promise.all(chains.map(({ named }, n) => this.#call(named, tokens[n] as AccessToken)))
  }

  async #call(named: readonly Link[], token: AccessToken): Promise<CallAnswer> {
    const { invoicesUrl } = this.scene.system
    const htu = `${invoicesUrl}/tools`
    const credential = signAccessToken(token, this.#credentialKey)
    const holder = named.at(-1)?.to ?? this.member(0)
    const call = { tool: 'read', properties: { id: '1' }, proof: { htu }, observed: { htu }, subject: token.sub }
    return eventually('it is decided', async () => {
      const answer = await answered(() => this.#point.call(by(holder, credential, call)))
      const { reason = '' } = answer
      return ['state_stale', 'deadline_exceeded', 'proof_nonce_required'].includes(reason) ? undefined : answer
    })
  }

  #claims(named: readonly Link[]): AccessToken {
    const { grant } = this
    const { clock, random, url } = this.scene.system
    const iat = Math.floor(clock.now() / 1000)
    const last = named.at(-1)
    let act: AccessToken['act']
    for (const { to } of named) act = { sub: to.id, ...(act ? { act } : {}) }
    return {
      ...{ iss: url, aud: url, sub: grant.agent, client_id: last?.to.id ?? grant.agent, iat, exp: iat + 300 },
      jti: newId('crd', clock.now(), random),
      cnf: { jkt: last?.to.key.kid ?? grant.instance_key },
      authorization_details: [grant.authority],
      grant: {
        id: grant.id,
        root: grant.id,
        request: grant.request_id,
        mode: grant.mode,
        statement_hash: grant.statement_hash,
        as_of: grant.as_of,
        ...(last ? { delegation: idOf(last) } : {}),
      },
      ...(act ? { act } : {}),
    }
  }

  #intent({ jti, client_id, grant, cnf, aud, iat, exp }: AccessToken) {
    return {
      credential_id: jti,
      grant_id: grant.id,
      agent: client_id,
      ...(grant.delegation === undefined ? {} : { delegation_id: grant.delegation }),
      jkt: cnf.jkt,
      audience: [aud].flat(),
      issued_at: new Date(iat * 1000).toISOString(),
      expires_at: new Date(exp * 1000).toISOString(),
      kid: this.#credentialKey.kid,
    }
  }

  /**
   * The honest issuer's answer to an agent that holds the last of these links and redeems it: `issued`, or the code of
   * its refusal.
   */
  async redeem(link: Link): Promise<string> {
    const { system } = this.scene
    const { id, key } = link.to
    const cut = id.lastIndexOf('/')
    const sdk = createAgent({
      agentId: id.slice(0, cut),
      instance: id.slice(cut + 1),
      key,
      installation: system.trust.installation,
      baseUrl: system.url,
      now: () => system.clock.now(),
      random: system.random,
    })
    return answered(() => sdk.credential({ delegation: link.text })).then(() => 'issued', errorCode)
  }
}

function recordOf({ text, claims, parent, said }: Link, grantId: string): Redeemed {
  return {
    delegation_id: delegationId(text) ?? '',
    grant_id: grantId,
    ...(parent === undefined ? {} : { parent }),
    delegation: text,
    agent: claims.sub,
    instance_key: claims.cnf.jkt,
    authority: claims.authorization_details[0] as Redeemed['authority'],
    not_after: new Date(claims.exp * 1000).toISOString(),
    ...said,
  }
}
