import type { EnforcementPoint, Grant as WholeGrant } from '@bailiwick/contracts'
import { exampleEvent } from '@bailiwick/contracts/examples'
import {
  type AccessToken,
  type Actor,
  actionDigest,
  type Delegation,
  delegationHash,
  delegationId,
  generateKey,
  type SigningKey,
  sha256,
  signDelegation,
} from '@bailiwick/credentials'
import type { ActivePolicies } from '@bailiwick/policy-decision/pipeline'
import type { Policy } from './cedar.ts'
import { type Call, type Credential, type Grant, type Link, type Point, spelled, World } from './decide.ts'
import { idOf, installation, Pipeline, pointOf, spell, start } from './pipeline.ts'
import { type GrantPlan, type Step, toolIds, tools } from './stories.ts'

// One story, told to the pipeline as events and to the reference as facts.

const minute = 60_000
const party = (agent: string, instance: string) => ({
  agent: `spiffe://example.org/agent/${agent}/${instance}`,
  key: generateKey('agent'),
})
const parties = [party('alpha', 'one'), party('beta', 'one'), party('gamma', 'one'), party('alpha', 'two')]
const agents = ['alpha', 'beta', 'gamma'].map((name, n) => ({
  id: `spiffe://example.org/agent/${name}`,
  name,
  owner: n === 0 ? 'ann' : 'bob',
  labels: n === 1 ? ['finance'] : [],
}))
const people = ['fiona', 'gus']
const points: { point: Point; registered: EnforcementPoint }[] = [
  { id: 'all', tools: '', mayRelease: true },
  { id: 'erp', tools: 'erp/', mayRelease: false },
].map((point) => ({ point, registered: pointOf(point.id, point.tools, point.mayRelease) }))
const manifests = [sha256('first manifest'), sha256('second manifest')]
const { grant: example } = exampleEvent('grants.v1', 'grant.created').data as { grant: WholeGrant }
const passkeyOf = (name: string) => Buffer.from(`passkey of ${name}!`).toString('base64url')

type Party = (typeof parties)[number]
interface Minted {
  known: Credential
  token: AccessToken
  key: SigningKey<'agent'>
}
interface Holder {
  id: string
  party: Party
  link?: { known: Link; delegation: string; above: Holder }
}

/** A call that was allowed, as both know it. `first`: the name and salt of its first round's action. */
interface Made {
  id: string
  real: { decisionId: string; callId: string; digest: string }
  call: Call
  minted: Minted
  first: { action: string; salt: string | undefined }
}

/** The one with this number; from the newest backwards for numbers below 0. */
const pick = <T>(list: readonly T[], n: number): T | undefined => list.at(n % list.length)

/** Both answers to each question; they are the same unless one of them is wrong. */
export interface Said {
  about: string
  real: string
  reference: string
}

export class Played {
  readonly said: Said[] = []
  readonly world = new World()
  readonly #pipeline: Pipeline
  readonly #holders: Holder[] = []
  readonly #minted: Minted[] = []
  readonly #grants: WholeGrant[] = []
  readonly #allowed: Made[] = []
  #ids = 0

  private constructor(policies: readonly Policy[], active: ActivePolicies) {
    this.world.policies = [...policies]
    this.world.now = start
    this.#pipeline = new Pipeline(active, ({ id }) => this.world.grants.get(id)?.approvers ?? [])
  }

  static async story(steps: readonly Step[], policies: readonly Policy[], active: ActivePolicies): Promise<Played> {
    const played = new Played(policies, active)
    await played.#begin()
    for (const step of steps) await played.#take(step)
    await played.#pipeline[Symbol.asyncDispose]()
    return played
  }

  async #begin(): Promise<void> {
    const { world } = this
    for (const { id, name, owner, labels } of agents) {
      world.agents.set(id, { owner, labels })
      const own = parties.filter(({ agent }) => agent.startsWith(`${id}/`))
      const keys = own.map(({ agent, key }) => ({ instance: agent.slice(id.length + 1), jwk: key.publicJwk }))
      const value = { id, name, owner, labels, attestor: { kind: 'registered_key', keys }, proactive_requests: true }
      await this.#pipeline.register('registered', 'agent', value)
    }
    for (const name of people) {
      const credential = {
        credential_id: passkeyOf(name),
        public_key: 'AAAA',
        sign_count: 0,
        registered_at: spell(start),
      }
      await this.#pipeline.register('registered', 'approver', {
        id: name,
        name,
        groups: [],
        credentials: [credential],
      } as never)
    }
    for (const [id, tool] of Object.entries(tools)) world.tools.set(id, tool)
    for (const server of ['erp', 'web']) await this.#server('registered', server, 0)
  }

  async #server(how: 'registered' | 'changed', server: string, version: number): Promise<void> {
    const manifest = manifests[version] ?? ''
    this.world.manifests.set(server, manifest)
    const own = Object.entries(tools).filter(([, tool]) => tool.server === server)
    const described = own.map(([id, { labels }]) => [id.slice(server.length + 1), { labels }] as const)
    const value = { id: server, url: `https://${server}.example/mcp`, manifest, tools: Object.fromEntries(described) }
    await this.#pipeline.register(how, 'tool-server', value)
  }

  async #take(step: Step): Promise<void> {
    const { world } = this
    switch (step.do) {
      case 'grant':
        return this.#grant(step.grant)
      case 'credential':
        return this.#credential(step)
      case 'delegate':
        return this.#delegate(step)
      case 'call':
        return this.#call(step)
      case 'round':
        return this.#round(step)
      case 'outcome':
        return this.#outcome(step)
      case 'revoke':
        return this.#revoke(step)
      case 'move':
        return this.#move(step)
      case 'pass':
        world.pass(step.minutes * minute)
        return this.#pipeline.pass(step.minutes * minute)
      case 'stale':
      case 'fresh':
        world.fresh = step.do === 'fresh'
        this.#pipeline.fresh = world.fresh
        return
      case 'manifest': {
        const server = pick(['erp', 'web'], step.server) ?? ''
        const next = world.manifests.get(server) === manifests[0] ? 1 : 0
        return this.#server('changed', server, next)
      }
      case 'retire': {
        const agent = pick(agents, step.agent)
        if (!agent || !world.agents.delete(agent.id)) return
        await this.#pipeline.register('retired', 'agent', agent)
      }
    }
  }

  async #grant({ party: n, authority, perAction, startsIn, minutes, behind, approvers }: GrantPlan): Promise<void> {
    const { world } = this
    const holder = pick(parties, n) as Party
    const id = idOf('grt', ++this.#ids)
    const notBefore = world.now + startsIn * minute
    const asked = { name: 'tools/call', resource: { type: 'tool', id: authority.permissions[0]?.resource.id ?? '' } }
    const properties = { amount: '1', currency: 'EUR' }
    const servers = new Set(authority.permissions.map(({ resource }) => resource.id?.split('/')[0] ?? ''))
    const named = [...servers].flatMap((server) => {
      const manifest = world.manifests.get(server)
      return manifest === undefined ? [] : [[server, manifest] as const]
    })
    const known: Grant = {
      id,
      agent: holder.agent,
      key: holder.key.kid,
      authority,
      mode: perAction ? 'per_action' : 'window',
      ...(perAction ? { action: spelled({ ...asked, properties }) } : {}),
      notBefore,
      notAfter: Math.min(notBefore + minutes * minute, world.now + 480 * minute),
      asOf: Math.max(0, world.revocations.length - behind),
      approvers: people.slice(0, approvers),
      manifests: Object.fromEntries(named),
      state: 'active',
    }
    const said = {
      agent: known.agent,
      instance_key: known.key,
      authority,
      mode: known.mode,
      not_before: spell(known.notBefore),
      not_after: spell(known.notAfter),
      as_of: known.asOf,
    }
    const digest = perAction ? { action_digest: actionDigest({ ...asked, properties }) } : {}
    const shown = { issued_at: spell(world.now), manifests: known.manifests }
    const statement = { ...example.statement, ...said, ...digest, ...shown }
    const assertions = known.approvers.map((name) => ({ ...example.assertions[0], credential_id: passkeyOf(name) }))
    const grant = { ...example, id, ...said, statement, statement_hash: sha256(id), assertions } as WholeGrant
    await this.#pipeline.tell('grants.v1', 'grant.created', id, { grant })
    world.grants.set(id, known)
    this.#grants.push(grant)
    this.#holders.push({ id, party: holder })
  }

  async #credential({ holder: n, minutes, recorded }: Extract<Step, { do: 'credential' }>): Promise<void> {
    const holder = pick(this.#holders, n)
    const grant = holder && this.#grantOf(holder)
    if (!holder || !grant) return
    const exp = this.world.now / 1000 + minutes * 60
    const id = idOf('crd', ++this.#ids)
    const token = this.#pipeline.token({
      sub: grant.agent,
      client_id: holder.party.agent,
      iat: this.world.now / 1000,
      exp,
      jti: id,
      cnf: { jkt: holder.party.key.kid },
      authorization_details: [grant.authority],
      grant: {
        id: grant.id,
        root: grant.id,
        request: grant.request_id,
        mode: grant.mode,
        statement_hash: grant.statement_hash,
        as_of: grant.as_of,
        ...(holder.link ? { delegation: holder.id } : {}),
      },
      ...actOf(holder),
    } as Omit<AccessToken, 'iss' | 'aud'>)
    const isRecorded = recorded && (await this.#pipeline.intend(token)) === 'counts'
    const link = holder.link?.known.id
    const known = { id, grant: grant.id, link, expiresAt: exp * 1000, recorded: isRecorded }
    this.#minted.push({ known, token, key: holder.party.key })
  }

  #grantOf(holder: Holder): WholeGrant | undefined {
    return holder.link ? this.#grantOf(holder.link.above) : this.#grants.find(({ id }) => id === holder.id)
  }

  async #delegate({ holder: n, to, part, flaw, minutes }: Extract<Step, { do: 'delegate' }>): Promise<void> {
    const above = pick(this.#holders, n)
    const grant = above && this.#grantOf(above)
    if (!above || !grant) return
    // Mostly to an agent that has no part in the task yet: it may not go back to one of its makers.
    const receiver =
      pick(to % 6 === 0 ? parties : parties.filter(({ agent }) => !isIn(above, agent)), to) ?? above.party
    const whole = above.link?.known.authority ?? (grant.authority as Link['authority'])
    const fewer = { ...whole, permissions: whole.permissions.slice(0, 2), budget: { ...whole.budget, calls: 1 } }
    const authority = part === 'all' ? whole : part === 'some' ? fewer : part
    const parentEnds = above.link?.known.expiresAt ?? Date.parse(grant.not_after)
    const wanted = Math.min(this.world.now + minutes * minute, parentEnds)
    const exp = Math.floor((flaw === 'expiry' ? parentEnds + minute : wanted) / 1000)
    const others = this.#holders.filter(({ id }) => id !== above.id)
    const commitsTo = flaw === 'parent' ? (pick(others, n) ?? above) : above
    const signer =
      flaw === 'signer'
        ? (pick(
            parties.filter((each) => each !== above.party),
            n,
          ) as Party)
        : above.party
    const maker =
      flaw === 'maker'
        ? (pick(
            parties.filter((each) => each !== above.party),
            n,
          ) as Party)
        : above.party
    const claims: Delegation = {
      iss: maker.agent,
      sub: receiver.agent,
      aud: installation,
      iat: this.world.now / 1000,
      exp,
      jti: `link ${++this.#ids}`,
      cnf: { jkt: receiver.key.kid },
      grant: grant.id,
      as_of: grant.as_of + (flaw === 'as_of' ? 1 : 0),
      parent_hash: hashOf(commitsTo),
      authorization_details: [authority],
    }
    if (exp <= claims.iat || exp - claims.iat > 8 * 3600) return
    const delegation = signDelegation(claims, signer.key)
    const id = delegationId(delegation) ?? ''
    const parent = above.link?.known.id
    const verdict = await this.#pipeline.tell('grants.v1', 'delegation.redeemed', grant.id, {
      delegation_id: id,
      grant_id: grant.id,
      ...(parent === undefined ? {} : { parent }),
      delegation,
      agent: receiver.agent,
      instance_key: receiver.key.kid,
      authority,
      not_after: spell(exp * 1000),
    })
    if (verdict !== 'counts') return
    const known: Link = {
      id,
      grant: grant.id,
      parent,
      commitsTo: commitsTo.id,
      maker: maker.agent,
      signedBy: signer.key.kid,
      agent: receiver.agent,
      key: receiver.key.kid,
      authority,
      asOf: claims.as_of,
      expiresAt: exp * 1000,
    }
    this.world.links.push(known)
    this.#holders.push({ id, party: receiver, link: { known, delegation, above } })
  }

  async #call(step: Extract<Step, { do: 'call' }>): Promise<void> {
    const minted = pick(this.#minted, step.credential)
    const at = pick(points, step.point)
    if (!minted || !at) return
    const own = this.world.grants
      .get(minted.known.grant)
      ?.authority.permissions.map(({ resource }) => resource.id ?? '')
    const id = pick(step.tool % 5 === 0 ? toolIds : (own ?? []), step.tool) ?? ''
    const what = {
      name: 'tools/call',
      resource: { type: 'tool', id },
      properties: { amount: step.amount, currency: step.currency },
    }
    const { signed, answerBytes } = step
    await this.#ask(
      step,
      { ...what, credential: minted.known, point: at.point, agentSigned: signed, answerBytes },
      minted,
    )
  }

  async #round(step: Extract<Step, { do: 'round' }>): Promise<void> {
    const from = pick(this.#allowed, step.allowed)
    const minted = step.credential === undefined ? from?.minted : pick(this.#minted, step.credential)
    const at = pick(points, step.point)
    if (!from || !minted || !at) return
    const properties = {
      ...from.call.properties,
      ...(step.changed ? { amount: '0.5' } : {}),
      requestState: step.allowed,
    }
    const { answerBytes } = step
    const about = { credential: minted.known, point: at.point, answerBytes, continues: from.id }
    await this.#ask(step, { ...from.call, ...about, properties }, minted, from)
  }

  /** Asks both. */
  async #ask(step: Step, call: Call, minted: Minted, from?: Made): Promise<void> {
    const { token, key } = minted
    const { name: action, resource, properties, agentSigned: signed, answerBytes } = call
    const registered = (points.find(({ point }) => point === call.point) ?? points[0])?.registered as EnforcementPoint
    const continues = from && { decisionId: from.real.decisionId, ...from.first }
    const asked = { name: action, resource, properties, token, key, signed, answerBytes, continues }
    const real = await this.#pipeline.ask({ ...asked, point: registered })
    const name = real.decision ? real.decisionId : `call ${++this.#ids}`
    const expected = this.world.decide(call, name)
    if (real.decision) {
      // To a decision point, a round of a point that may not release is a call of its own.
      const first = (call.point.mayRelease ? from?.first : undefined) ?? { action: real.digest, salt: real.salt }
      this.#allowed.push({ id: name, real, call, minted, first })
    } else this.world.refuse(call, real.reason)
    const yes = from ? 'goes on with' : 'allow'
    const told = real.decision ? `${yes} ${real.bytes} bytes by ${real.permissions}` : real.reason
    const reference = expected.allow
      ? `${yes} ${expected.bytes} bytes by ${expected.permissions}`
      : expected.reasons.includes(told)
        ? told
        : expected.reasons.join(' or ')
    this.said.push({ about: JSON.stringify(step), real: told, reference })
  }

  async #outcome(step: Extract<Step, { do: 'outcome' }>): Promise<void> {
    const allowed = pick(this.#allowed, step.allowed)
    const at = pick(points, step.point)
    if (!allowed || !at) return
    const taken = await this.#pipeline.report(at.registered, allowed.real, step)
    const expected = this.world.report(allowed.id, at.point, step)
    this.said.push({ about: JSON.stringify(step), real: `outcome ${taken}`, reference: `outcome ${expected}` })
  }

  async #revoke({ kind, target: n, isNext }: Extract<Step, { do: 'revoke' }>): Promise<void> {
    const targets: Record<typeof kind, string[]> = {
      credential: this.#minted.map(({ known }) => known.id),
      delegation: this.world.links.map(({ id }) => id),
      grant: [...this.world.grants.keys()],
      agent: [...agents.map(({ id }) => id), ...parties.map(({ agent }) => agent)],
      approver: people,
      'tool-server': ['erp', 'web'],
      all: ['*'],
    }
    const target = pick(targets[kind], n)
    if (target === undefined) return
    const version = this.world.revocations.length + (isNext ? 1 : 3)
    const data = {
      revocation_id: idOf('rev', ++this.#ids),
      kind,
      target,
      reason: 'test',
      by: { kind: 'operator', id: 'olga' },
    }
    await this.#pipeline.tell('revocations.v1', 'revocation.declared', 'revocations', data, { version })
    if (isNext) this.world.revocations.push({ kind, target, version })
  }

  async #move({ grant: n, to }: Extract<Step, { do: 'move' }>): Promise<void> {
    const grant = pick(this.#grants, n)
    const known = grant && this.world.grants.get(grant.id)
    if (!grant || !known) return
    await this.#pipeline.tell('grants.v1', `grant.${to}`, grant.id, { grant })
    if (to === 'resumed' && known.state === 'suspended') known.state = 'active'
    else if (to === 'suspended' && known.state === 'active') known.state = 'suspended'
    else if (to === 'completed' || to === 'expired')
      if (known.state === 'active' || known.state === 'suspended') known.state = to
  }
}

const hashOf = ({ id, link }: Holder) => (link ? (delegationHash(link.delegation) ?? '') : sha256(id))

const isIn = ({ party: { agent }, link }: Holder, wanted: string): boolean =>
  agent === wanted || (link !== undefined && isIn(link.above, wanted))

/** RFC 8693: the acting agent is outermost. */
function actOf(holder: Holder): { act?: Actor } {
  if (!holder.link) return {}
  return { act: { sub: holder.party.agent, ...actOf(holder.link.above) } }
}
