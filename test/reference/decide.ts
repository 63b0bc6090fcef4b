import type { Authority } from '@bailiwick/authority'
import { type Charge, type Cover, coverOf, isNarrower, mayReceive } from './authority.ts'
import { authorize, decisionOf, type Policy, type Value } from './cedar.ts'
import { factsOf, forgotten, historyOf, isCounted, type Whose } from './history.ts'
import { millionths } from './numbers.ts'

// One decision, by DESIGN §7.4 and nothing else: small and slow. Everything about the past is counted anew each time
// from the list of allowed calls.

export interface Grant {
  id: string
  /** The holding instance and key. */
  agent: string
  key: string
  authority: Authority
  mode: 'window' | 'per_action'
  /** per_action: the one action, in the reference's own spelling. */
  action?: string
  /** ms since the epoch, as everywhere here */
  notBefore: number
  notAfter: number
  asOf: number
  approvers: string[]
  manifests: Record<string, string>
  state: 'active' | 'suspended' | 'completed' | 'expired'
}

/** A redeemed delegation, with its signed content. */
export interface Link {
  id: string
  grant: string
  /** The link under which it was redeemed; undefined: the grant. */
  parent: string | undefined
  /** The link or grant to which its signed hash commits. */
  commitsTo: string
  maker: string
  signedBy: string
  agent: string
  key: string
  authority: Authority
  asOf: number
  expiresAt: number
}

export interface Credential {
  id: string
  grant: string
  link: string | undefined
  expiresAt: number
  recorded: boolean
}

export interface Point {
  id: string
  /** The prefix of the tools that it guards. */
  tools: string
  mayRelease: boolean
}

export interface Call {
  credential: Credential
  point: Point
  name: string
  resource: { type: string; id: string }
  properties: Record<string, unknown>
  agentSigned: boolean
  /** The possible length of the answer, as the point asks. */
  answerBytes: number | undefined
  /** The call that this one goes on with, as the point says. */
  continues?: string | undefined
}

/** What is added to a call in a further round: answers to what its server asked. */
const answers = ['inputResponses', 'requestState']

export interface Tool {
  server: string
  labels: string[]
}

interface Allowed {
  id: string
  grant: string
  point: Point
  at: number
  agents: string[]
  /** The owners of the agents at that time. */
  owners: string[]
  labels: string[]
  /** Where it is charged: the grant and each link, with the permission of each. */
  levels: { id: string; permission: number }[]
  cost: Charge | undefined
  standing: 'open' | 'settled' | 'missing'
  released: boolean
  /** The bytes that it may send, and those that count: all, until its outcome says how many were sent. */
  mayBytes: number
  bytes: number
  acting: string
  link: string | undefined
  /** The call in the reference's own spelling, without answers. */
  asked: string
  /** Its server answered with questions. */
  isContinued: boolean
  /** A further round counts as no call, use or money. It is the one with this number, of the call that began with `first`. */
  round: number
  first: Allowed | undefined
  /** A round goes on once. */
  hasGoneOn: boolean
}

export type Answer = { allow: true; permissions: number[]; bytes: number } | { allow: false; reasons: string[] }

type Holder = { id: string; agent: string; key: string; authority: Authority; expiresAt: number }
const goesOn = ({ continues, point }: Call) => continues !== undefined && point.mayRelease
const deny = (...reasons: string[]): Answer => ({ allow: false, reasons })
const agentOf = (instance: string) => instance.slice(0, instance.lastIndexOf('/'))
const hours = 3_600_000
const outcomeDue = 60_000

/** All known facts, and the decisions that follow from them. */
export class World {
  now = 0
  fresh = true
  policies: Policy[] = []
  readonly grants = new Map<string, Grant>()
  readonly links: Link[] = []
  readonly allowed: Allowed[] = []
  readonly refused: { grant: string; agents: string[]; at: number }[] = []
  /** How often each fact of the history decided: without that fact, the policies would have answered otherwise. */
  readonly decided = new Map<string, number>()
  readonly revocations: { kind: string; target: string; version: number }[] = []
  readonly agents = new Map<string, { owner: string; labels: string[] }>()
  readonly manifests = new Map<string, string>()
  readonly tools = new Map<string, Tool>()

  decide(call: Call, id: string): Answer {
    const { credential, point, resource } = call
    if (!(resource.type === 'tool' && resource.id.startsWith(point.tools))) return deny('pep_out_of_scope')
    if (this.now >= credential.expiresAt) return deny('credential_expired')
    if (!this.fresh) return deny('state_stale')
    if (!credential.recorded) return deny('credential_unrecorded')
    const grant = this.grants.get(credential.grant)
    if (!grant) return deny('grant_unknown')
    const holders = this.#holders(grant, credential.link)
    if (!holders) return deny('delegation_invalid')
    const ends = this.#ends(grant, holders, call)
    if (ends.length > 0) return deny(...ends)
    const covers: Cover[][] = []
    for (const { authority } of holders) {
      const cover = coverOf(authority, call)
      if (typeof cover === 'string') return deny(cover)
      covers.push(cover)
    }
    if (grant.mode === 'per_action' && grant.action !== spelled(call)) return deny('action_not_granted')
    const server = resource.id.slice(0, resource.id.indexOf('/'))
    if (this.manifests.get(server) !== grant.manifests[server]) return deny('manifest_changed')
    const from = this.#roundBefore(call)
    if (goesOn(call)) {
      if (from?.asked !== spelled(withoutAnswers(call))) return deny('round_invalid')
      if (isOpen(from)) return deny('round_open')
    }
    const said = this.#asked(grant, holders, call)
    for (const whose of Object.keys(factsOf) as Whose[])
      for (const fact of factsOf[whose]) {
        const name = `${whose}.${fact}`
        if (this.#asked(grant, holders, call, name) !== said) this.decided.set(name, (this.decided.get(name) ?? 0) + 1)
      }
    if (said !== undefined) return deny(said)
    if (grant.mode === 'per_action' && this.#counted(grant.id).length > 0)
      return deny(this.#counted(grant.id).some(isOpen) ? 'uses_reserved' : 'uses_exhausted')
    if (from !== undefined) return this.#goOn(from, call, id, holders, covers)
    const charged = this.#reserve(holders, covers, () => true)
    if (typeof charged === 'string') {
      // Reservations without an outcome may come back; what is left without them is settled.
      const settled = this.#reserve(holders, covers, (call) => !isOpen(call))
      return deny(typeof settled === 'string' ? settled : charged.replace('exhausted', 'reserved'))
    }
    const bytes = this.#bytes(holders, call.answerBytes)
    if (bytes === undefined) return deny('budget_held')
    const permissions = charged.map(({ index }) => index)
    this.#allow(call, id, holders, { permissions, bytes, cost: charged.at(-1)?.cost })
    return { allow: true, permissions, bytes }
  }

  /** The round that a call goes on with. The word of a point that may not release does not count: to it each round is a call of its own. */
  #roundBefore(call: Call): Allowed | undefined {
    return goesOn(call)
      ? this.allowed.find(({ id, grant }) => id === call.continues && grant === call.credential.grant)
      : undefined
  }

  /** A further round of a call: by the same agent, from a round that ended with questions, once, and only so often and so late. */
  #goOn(from: Allowed, call: Call, id: string, holders: Holder[], covers: Cover[][]): Answer {
    const first = from.first ?? from
    const { point, credential } = call
    if (!from.isContinued || from.point !== point || from.acting !== holders.at(-1)?.agent) return deny('round_invalid')
    if (from.link !== credential.link) return deny('round_invalid')
    if (from.hasGoneOn) return deny('round_used')
    if (from.round === 10 || this.now - first.at > hours / 2) return deny('rounds_exhausted')
    const permissions = first.levels.map(({ permission }) => permission)
    if (!covers.every((cover, n) => cover.some(({ index }) => index === permissions[n]))) return deny('round_invalid')
    if (holders.some((holder) => !this.#hasBytes(holder))) return deny('budget_exhausted')
    const bytes = this.#bytes(holders, call.answerBytes)
    if (bytes === undefined) return deny('budget_held')
    from.hasGoneOn = true
    this.#allow(call, id, holders, { permissions, bytes, cost: undefined, from })
    return { allow: true, permissions, bytes }
  }

  #allow(
    call: Call,
    id: string,
    holders: Holder[],
    {
      permissions,
      bytes,
      cost,
      from,
    }: { permissions: number[]; bytes: number; cost: Charge | undefined; from?: Allowed },
  ): void {
    this.allowed.push({
      id,
      grant: call.credential.grant,
      point: call.point,
      at: this.now,
      agents: holders.map(({ agent }) => agentOf(agent)),
      owners: holders.map(({ agent }) => this.#ownerOf(agentOf(agent))),
      labels: this.#labels(call.resource),
      levels: holders.map((holder, n) => ({ id: holder.id, permission: permissions[n] ?? -1 })),
      cost,
      standing: 'open',
      released: false,
      mayBytes: bytes,
      bytes,
      acting: holders.at(-1)?.agent ?? '',
      link: call.credential.link,
      asked: from?.asked ?? spelled(call), // with its answers, if it is the first round: then none goes on with it
      isContinued: false,
      round: (from?.round ?? 0) + 1,
      first: from && (from.first ?? from),
      hasGoneOn: false,
    })
  }

  /** The answer, once it is known which of several possible reasons was given. */
  refuse({ credential }: Call, reason: string): void {
    const grant = this.grants.get(credential.grant)
    const holders = grant && this.#holders(grant, credential.link)
    if (!grant || !holders || !isCounted(reason)) return
    const agents = holders.map(({ agent }) => agentOf(agent))
    this.refused.push({ grant: grant.id, agents, at: this.now })
  }

  /** DESIGN §7.3: each link is made by the previous holder, with that holder's key, from a part of what that holder has. */
  #holders(grant: Grant, linkId: string | undefined): Holder[] | undefined {
    const { id, agent, key, authority, notAfter } = grant
    if (linkId === undefined) return [{ id, agent, key, authority, expiresAt: notAfter }]
    const link = this.links.find((each) => each.id === linkId)
    if (!link || link.grant !== grant.id) return undefined
    const above = this.#holders(grant, link.parent)
    const maker = above?.at(-1)
    if (!above || !maker) return undefined
    const earlier = this.links.slice(0, this.links.indexOf(link))
    const siblings = earlier.filter((other) => other.grant === link.grant && other.parent === link.parent)
    const holds =
      link.maker === maker.agent &&
      link.signedBy === maker.key &&
      link.commitsTo === maker.id &&
      link.asOf === grant.asOf &&
      isNarrower(link.authority, maker.authority) &&
      above.every((holder, n) => above.length - n <= holder.authority.max_depth) &&
      siblings.length < maker.authority.max_children &&
      mayReceive(maker.authority, link.agent) &&
      link.expiresAt <= maker.expiresAt &&
      above.every((holder) => holder.agent !== link.agent && holder.key !== link.key)
    return holds ? [...above, link] : undefined
  }

  /** Step 3: all reasons for which it has ended. The design does not order them: the answer is one of them. */
  #ends(grant: Grant, holders: Holder[], { credential }: Call): string[] {
    const { now, manifests } = this
    const changed = Object.entries(grant.manifests).some(([id, hash]) => manifests.get(id) !== hash)
    const used = this.#counted(grant.id).length > 0
    const ends: [boolean, string][] = [
      [now < grant.notBefore, 'grant_not_started'],
      [now >= grant.notAfter || grant.state === 'expired', 'grant_expired'],
      [grant.state === 'suspended', 'grant_not_active'],
      [grant.state === 'completed', grant.mode === 'per_action' && used ? 'uses_exhausted' : 'grant_not_active'],
      [holders.some(({ expiresAt }) => now >= expiresAt), 'delegation_expired'],
      [holders.some(({ agent }) => !this.agents.has(agentOf(agent))), 'agent_revoked'],
      [changed, 'manifest_changed'],
    ]
    const revoked = this.revocations.filter((each) => this.#kills(each, grant, holders, credential.id))
    return [...ends.flatMap(([is, reason]) => (is ? [reason] : [])), ...revoked.map(({ kind }) => revokedAs(kind))]
  }

  #kills(
    { kind, target, version }: World['revocations'][number],
    grant: Grant,
    holders: Holder[],
    credential: string,
  ): boolean {
    if (kind === 'credential') return target === credential
    if (kind === 'delegation') return holders.slice(1).some(({ id }) => id === target)
    if (kind === 'grant') return target === grant.id
    if (version <= grant.asOf) return false // people knew of it when they approved
    if (kind === 'agent') return holders.some(({ agent }) => target === agent || target === agentOf(agent))
    if (kind === 'approver') return grant.approvers.includes(target)
    return kind === 'all' || Object.hasOwn(grant.manifests, target)
  }

  #labels({ id }: { id: string }): string[] {
    return this.tools.get(id)?.labels ?? ['unlabelled']
  }

  /** The policies' answer, asked for each agent of the chain. `without`: this fact of the history is unknown. */
  #asked(grant: Grant, holders: Holder[], call: Call, without?: string): string | undefined {
    for (const holder of holders) {
      const verdict = authorize(this.policies, this.#request(grant, holder, call, holders.length - 1, without))
      if (verdict.errors.length > 0) return 'policy_error'
      if (decisionOf(verdict) === 'deny') return 'policy_denied'
    }
    return undefined
  }

  /** Steps 5 and 6: the request to the policies, with one agent of the chain as the principal. */
  #request(grant: Grant, holder: Holder, call: Call, depth: number, without: string | undefined) {
    const { now, allowed, refused } = this
    const { name, resource, agentSigned } = call
    const before = this.#roundBefore(call)
    const own = before?.first ?? before
    const principal = { type: 'agent', id: agentOf(holder.agent) }
    const { owner, labels } = this.agents.get(principal.id) ?? { owner: '', labels: [] }
    const since = (at: number) => at >= now - 8 * hours
    const task = allowed.filter(({ grant: root }) => root === grant.id)
    const lately = allowed.filter(({ agents, at }) => agents.includes(principal.id) && since(at))
    const ofOwner = allowed.filter(({ owners, at }) => owners.includes(owner) && since(at))
    const record = (members: Record<string, Value>): Value => ({ members: new Map(Object.entries(members)) })
    const known = (whose: Whose, calls: Allowed[], denials: number) => {
      // A further round is in no sum, and neither is the call that it goes on with. But what they touched is touched.
      const counted = (each: Allowed) => ({ released: each.released || each.first !== undefined || each === own })
      const deeds = calls.map((call) => ({ ...call, ...counted(call), depth: call.levels.length - 1 }))
      const all = historyOf(deeds, denials, depth, now)
      const history = factsOf[whose].map((fact): [string, Value] => [fact, all[fact]])
      const told = ([fact, value]: [string, Value]) => (`${whose}.${fact}` === without ? forgotten(fact, value) : value)
      return record(Object.fromEntries(history.map((entry) => [entry[0], told(entry)])))
    }
    const refusals = {
      task: refused.filter(({ grant: root }) => root === grant.id).length,
      agent: refused.filter(({ agents, at }) => agents.includes(principal.id) && since(at)).length,
    }
    const date = new Date(now)
    const tool = { labels: this.#labels(resource), server: resource.id.slice(0, resource.id.indexOf('/')) }
    return {
      principal,
      action: { type: 'Action', id: name },
      resource,
      context: new Map<string, Value>([
        [
          'grant',
          record({
            id: grant.id,
            task: grant.authority.task,
            mode: grant.mode,
            approvers: BigInt(grant.approvers.length),
            seconds_left: BigInt(Math.floor((grant.notAfter - now) / 1000)),
          }),
        ],
        ['proof', agentSigned ? 'agent_signed' : 'point_asserted'],
        ['time', record({ hour: BigInt(date.getUTCHours()), weekday: BigInt(date.getUTCDay()) })],
        [
          'history',
          record({
            task: known('task', task, refusals.task),
            agent: known('agent', lately, refusals.agent),
            owner: known('owner', ofOwner, 0),
          }),
        ],
      ]),
      entities: [
        {
          uid: principal,
          attributes: new Map<string, Value>(Object.entries({ instance: holder.agent, owner, labels })),
          parents: [],
        },
        { uid: resource, attributes: new Map<string, Value>(Object.entries(tool)), parents: [] },
      ],
    }
  }

  #ownerOf = (agent: string) => this.agents.get(agent)?.owner ?? ''

  /** Step 7: the permission that is charged on each level, and what it costs. */
  #reserve(holders: Holder[], covers: Cover[][], counts: (call: Allowed) => boolean): Cover[] | string {
    const taken = holders.map(({ id }) => this.#counted(id).filter(counts))
    const withUses = covers.map((cover, n) =>
      cover.filter(({ index }) => {
        const used = taken[n]?.filter(({ levels }) =>
          levels.some((level) => level.id === holders[n]?.id && level.permission === index),
        )
        return (used?.length ?? 0) < (holders[n]?.authority.permissions[index]?.max_uses ?? Number.POSITIVE_INFINITY)
      }),
    )
    const choices = (withUses.at(-1) ?? []).map((last) =>
      withUses.map((cover, n) =>
        n === withUses.length - 1 ? last : cover.find(({ cost }) => isSameCharge(cost, last.cost)),
      ),
    )
    const chosen = choices.find((choice) => choice.every((cover) => cover !== undefined)) as Cover[] | undefined
    if (!chosen) return 'uses_exhausted'
    const cost = chosen.at(-1)?.cost
    return holders.some((holder, n) => !this.#hasBudget(holder, cost, taken[n] ?? [])) ? 'budget_exhausted' : chosen
  }

  /** The requested number, or an eighth of the least limit. Everything that is left, if no call in progress can return some. */
  #bytes(holders: Holder[], asked: number | undefined): number | undefined {
    const limits = holders.flatMap(({ id, authority: { budget } }) =>
      budget.egress_bytes === undefined ? [] : [{ id, limit: budget.egress_bytes }],
    )
    const share = Math.ceil(Math.min(...limits.map(({ limit }) => limit)) / 8)
    let bytes = limits.length === 0 ? 0 : (asked ?? share)
    for (const { id, limit } of limits) {
      const left = limit - this.#sent(id)
      if (left < (asked ?? share) && this.#under(id).some(isOpen)) return undefined
      bytes = Math.min(bytes, left)
    }
    return bytes
  }

  #sent = (id: string) => this.#under(id).reduce((sum, call) => sum + call.bytes, 0)

  #hasBytes({ id, authority: { budget } }: Holder): boolean {
    const isOver = budget.egress_bytes !== undefined && this.#sent(id) >= budget.egress_bytes
    return !isOver || this.#under(id).some(isOpen)
  }

  #hasBudget(holder: Holder, cost: Charge | undefined, counted: Allowed[]): boolean {
    const { budget } = holder.authority
    if (budget.calls !== undefined && counted.length + 1 > budget.calls) return false
    if (!this.#hasBytes(holder)) return false
    if (cost === undefined) return true
    const spent = counted.flatMap((call) => (call.cost?.currency === cost.currency ? [call.cost.micros] : []))
    const sum = spent.reduce((a, b) => a + b, cost.micros)
    return sum <= (millionths(budget.cost?.[cost.currency] ?? '0') ?? 0n)
  }

  /** All calls under a grant or a link, and those that still count. */
  #under = (id: string) => this.allowed.filter(({ levels }) => levels.some((level) => level.id === id))
  #counted = (id: string) => this.#under(id).filter(({ released, first }) => !released && first === undefined)

  /**
   * An outcome counts once, and each has a number of its own. A late one, whose call was missed, returns nothing.
   * False: it is not accepted.
   */
  report(
    id: string,
    point: Point,
    { status, bytes, cost }: { status: string; bytes: number | undefined; cost: string | undefined },
  ): boolean {
    const call = this.allowed.find((each) => each.id === id)
    if (!call || call.point !== point) return false
    if (call.standing === 'settled') return false
    const perAction = this.grants.get(call.grant)?.mode === 'per_action'
    call.released = call.standing === 'open' && status === 'not_executed' && point.mayRelease && !perAction
    const isOver = status === 'succeeded' || status === 'failed'
    const spent = cost === undefined ? undefined : millionths(cost)
    // Less than was reserved: the rest is not counted any more. An effect that may go on costs all that was reserved.
    if (call.standing === 'open' && isOver && point.mayRelease && !perAction && spent !== undefined)
      if (call.cost?.currency === 'EUR' && spent < call.cost.micros) call.cost = { ...call.cost, micros: spent }
    // No point saw what left.
    const seen = status === 'not_observed' ? undefined : bytes
    const sent = seen ?? (status === 'not_executed' ? 0 : call.mayBytes)
    call.bytes = call.standing === 'missing' ? Math.max(call.mayBytes, sent) : sent
    call.standing = 'settled'
    call.isContinued = status === 'continued'
    return true
  }

  /** Time passes. An outcome that was not reported in time is missing, and the call counts as everything that it could send. */
  pass(ms: number): void {
    this.now += ms
    for (const call of this.allowed) {
      if (isOpen(call) && this.now >= call.at + outcomeDue) call.standing = 'missing'
    }
  }
}

const isOpen = ({ standing }: Allowed) => standing === 'open'
const isSameCharge = (a: Charge | undefined, b: Charge | undefined) =>
  a?.currency === b?.currency && a?.micros === b?.micros
const revokedAs = (kind: string) => (kind === 'all' ? 'everything_revoked' : `${kind.replace('-', '_')}_revoked`)

const withoutAnswers = ({ name, resource, properties }: Call) => ({
  ...{ name, resource },
  properties: Object.fromEntries(Object.entries(properties).filter(([member]) => !answers.includes(member))),
})

/** One action, to which one approval is bound. */
export const spelled = ({ name, resource, properties }: Pick<Call, 'name' | 'resource' | 'properties'>) =>
  JSON.stringify([name, resource.type, resource.id, Object.entries(properties).toSorted()])
