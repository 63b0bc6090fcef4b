import { type Authority, covers, coversMapped, formatMicros, parseAuthority, parseMicros } from '@bailiwick/authority'
import { actionHash, type BudgetAmounts, type EventData, type Grant } from '@bailiwick/contracts'
import { authorityOf, grantAt, type Meaning, slackMs } from './approvals.ts'
import { chainTo, type Holder, isAmong } from './delegations.ts'
import { type Decision, decisionKey, type Facts, isInProcess, type Revocation, type Tree } from './facts.ts'
import { openCompact } from './jws.ts'
import type { Check, Finding } from './leaf.ts'
import { boundOf, killerOf, lagOf } from './revocations.ts'
import { firstRound, roundChecks } from './rounds.ts'

type Allowed = EventData<'decisions.v1', 'decision.allowed'>
/** Each ALLOW that counts is within its grant (V3), for the right holder (V4), alive (V7), and unique (V10). */
export function allowFindings(meaning: Meaning): Finding[] {
  const calls = new Map<string, number>()
  const ids = new Map<string, number>()
  // Logs written before this member existed lack it; within one log it does not disappear again.
  let namesProofs = false
  let namesOwners = false
  return [...meaning.facts.decisions.values()].flatMap((decision) => {
    const { data, index } = decision
    const call = `${data.enforcement_point} ${data.call_id}`
    const checks: Check[] = [
      ['V10', !calls.has(call), `call ${data.call_id} was allowed before, in leaf ${calls.get(call)}`],
      ['V10', !ids.has(data.decision_id), `the id was used before, in leaf ${ids.get(data.decision_id)}`],
      ['V10', data.proof_id !== undefined || !namesProofs, 'it does not name its proof'],
      ['V3', data.owners !== undefined || !namesOwners, 'it does not name the owners that it counts for'],
      ...checksOf(meaning, decision),
    ]
    namesProofs ||= data.proof_id !== undefined
    namesOwners ||= data.owners !== undefined
    calls.set(call, index)
    ids.set(data.decision_id, index)
    return checks
      .filter(([, holds]) => !holds)
      .map(([rule, , detail]) => ({ leaf: index, rule, detail: `${data.decision_id}: ${detail}` }))
  })
}

function checksOf(meaning: Meaning, decision: Decision): Check[] {
  const { data, tree: treeId, at, standing } = decision
  const { facts, registry } = meaning
  const { actor, action } = data
  const tree = facts.trees.get(treeId)
  if (tree === undefined || actor.grant_id !== treeId) return [['V3', false, 'no such grant']]
  const grant = grantAt(tree, at)
  const intent = tree.intents.get(actor.credential_id)
  const authority = authorityOf(grant)
  const chain = chainOf(meaning, tree, { delegation_id: intent?.data.delegation_id, at })
  const links = chain?.slice(1) ?? []
  const lineage = { credential: actor.credential_id, links }
  const holds = (each: Revocation) => isLate(facts, decision, each)
  const killer = killerOf(meaning, tree, { by: at - slackMs, holds }, lineage)
  const known = killerOf(meaning, tree, { by: Number.POSITIVE_INFINITY, holds: () => true }, lineage)
  const lagMs = lagOf(facts)
  const last = tree.life.findLast((each) => each.at < at - lagMs)
  const over = last?.state === 'active' ? undefined : last
  // A decision point may hear of the event before the clock of the event's writer has come that far.
  const resumed =
    over && tree.life.some((each) => each.state === 'active' && each.index > over.index && each.at <= at + slackMs)
  // The caller got no answer: the decision point noticed in time that it had missed a revocation. An outcome of it
  // would be a finding of its own.
  const takenBack = standing === 'abandoned'
  const point = registry.get('enforcement-point', data.enforcement_point, at)
  const then = [at, at - slackMs, at - lagMs]
  const isRegistered = (agent: string) => then.some((ms) => registry.instance(agent, ms) !== undefined)
  const ownersOf = (agent: string) => then.map((ms) => registry.instance(agent, ms)?.agent.owner)
  const isOwnedBy = (owners: readonly string[], agents: readonly string[]) =>
    agents.every((agent) => ownersOf(agent).some((owner) => owner !== undefined && owners.includes(owner))) &&
    owners.every((owner) => agents.some((agent) => ownersOf(agent).includes(owner)))
  const isUnchanged = ([server, manifest]: [string, unknown]) =>
    then.some((ms) => registry.get('tool-server', server, ms)?.manifest === manifest)
  const isInScope = ({ type, id }: { type: string; id: string }) =>
    point?.resources.some(
      (scope) =>
        scope.type === type &&
        (!('id' in scope) || scope.id === id) &&
        (!('id_prefix' in scope) || id.startsWith(scope.id_prefix)),
    ) === true
  const inScope = [action, ...(data.mapped ?? [])].every(({ resource }) => isInScope(resource))
  return [
    ['V3', actor.agent === grant.agent && actor.request_id === grant.request_id, 'another agent or request'],
    ['V3', Date.parse(grant.not_before) <= at + slackMs && at - slackMs < Date.parse(grant.not_after), 'out of time'],
    ['V3', authority !== undefined && isCovered(authority, data), 'not covered by what was granted'],
    ['V3', inScope, `not the enforcement point of ${action.resource.id}`],
    [
      'V3',
      registry.had('policy-set', 'active', at, ({ hash }) => hash === data.policy_set),
      'decided by policies that were never approved',
    ],
    ['V4', intent !== undefined && isLive(intent, at), 'no credential that was recorded and lives'],
    ['V11', isHeldBy(tree, intent?.data, at) || takenBack, 'by the credential of a key that its grant had left'],
    ['V7', killer === undefined || takenBack, `allowed after revocation ${killer?.version}`],
    ['V7', known === undefined || known.version > data.as_of, `allowed knowing of revocation ${known?.version}`],
    ['V7', over === undefined || resumed === true || takenBack, 'allowed after the grant had ended'],
    [
      'V7',
      [grant.agent, ...links.map(({ agent }) => agent)].every(isRegistered) || takenBack,
      'for an agent that is not registered',
    ],
    [
      'V3',
      data.owners === undefined ||
        isOwnedBy(data.owners, [grant.agent, ...links.map(({ agent }) => agent)]) ||
        takenBack,
      'it counts for others than the owners of its agents',
    ],
    ['V3', Object.entries(grant.statement.manifests).every(isUnchanged) || takenBack, 'with a tool that was changed'],
    [
      'V3',
      (data.mapped ?? []).every((each) =>
        [authority, ...links.map((link) => link.authority)].every((of) => of !== undefined && coversMapped(of, each)),
      ),
      'what its tool maps it to is not covered',
    ],
    ...roundChecks(meaning, decision),
    ['V6', chain !== undefined || takenBack, 'under a chain that does not hold'],
    ['V6', chain === undefined || saysChain(data, links), 'it names another chain than its credential has'],
    ['V5', links.every((link, n) => isCoveredBy(link, data, n)), 'not covered by a link of its chain'],
    ['V5', links.every(({ until }) => at - slackMs < until), 'under a link that had ended'],
    [
      'V5',
      links.every(({ resources }) => isAmong(intent?.data.audience, resources)),
      'for an API that was not passed on',
    ],
    [
      'V10',
      grant.mode !== 'per_action' || isOnlyAction(meaning, grant.statement.action_digest, treeId, data),
      'not the one action, once, that was approved',
    ],
  ]
}

/**
 * Whether an ALLOW came later than a decision point may continue without hearing of this revocation (V7). A decision
 * point trusts a head of the issuer for the configured time, and heads newer than the acknowledgement name the
 * revocation. An ALLOW without a reported outcome may never have been answered: its decision point was killed before it
 * could take the ALLOW back, which takes the deadline of a decision.
 */
function isLate(facts: Facts, { at, standing }: Decision, revocation: Revocation): boolean {
  const { from, staleMs } = boundOf(facts, revocation)
  const isAnswered = standing === 'settled' || facts.acknowledgements.length === 0
  return at - (isAnswered ? 0 : slackMs) >= from + staleMs
}

/** The chain at that time, or a moment earlier for a reader that had not heard of the grant's move yet. */
function chainOf(
  meaning: Meaning,
  tree: Tree,
  { delegation_id, at }: { delegation_id: string | undefined; at: number },
): Holder[] | undefined {
  for (const then of [at, at - slackMs]) {
    const chain = chainTo(meaning, tree, delegation_id, grantAt(tree, then))
    if ('holders' in chain) return chain.holders
  }
  return undefined
}

function saysChain({ actor, chain = [] }: Allowed, links: readonly Holder[]): boolean {
  const last = links.at(-1)
  const named = chain.map(({ delegation_id, agent }) => `${delegation_id} ${agent}`)
  return (
    JSON.stringify(named) === JSON.stringify(links.map(({ id, agent }) => `${id} ${agent}`)) &&
    actor.delegation_id === last?.id &&
    actor.sub_agent === last?.agent
  )
}

function isCoveredBy({ authority }: Holder, data: Allowed, n: number): boolean {
  return isCovered(authority, { ...data, permission: data.chain?.[n]?.permission ?? -1 })
}

function isLive({ data, at }: { data: { expires_at: string }; at: number }, then: number): boolean {
  return at - slackMs <= then && then - slackMs < Date.parse(data.expires_at)
}

/**
 * For the grant's own agent: a credential of the key that the grant was bound to then. A sub-agent's credential depends
 * on its chain.
 */
function isHeldBy(tree: Tree, intent: EventData<'grants.v1', 'credential.intended'> | undefined, at: number): boolean {
  if (intent === undefined || intent.delegation_id !== undefined) return true
  const holds = ({ agent, instance_key }: Grant) => intent.agent === agent && intent.jkt === instance_key
  return [at, at - slackMs].some((then) => holds(grantAt(tree, then)))
}

/** A grant for one action allows that action once; an ALLOW that was taken back leaves it unused. */
function isOnlyAction({ facts }: Meaning, digest: string | undefined, tree: string, data: Allowed): boolean {
  const first = [...facts.decisions.values()].find((each) => each.tree === tree && each.standing !== 'abandoned')
  return digest === actionHash(data.action) && (first === undefined || first.data.decision_id === data.decision_id)
}

/** Judges by the arguments in the event, which are all that the permission names, and by the price in the permission. */
function isCovered(authority: Authority, { action, permission, reserved, continues }: Allowed): boolean {
  const { name, resource } = action
  const coverage = covers(authority, { name, resource, properties: document(action.arguments ?? {}) })
  if (!coverage.covered) return false
  const covering = coverage.permissions.find(({ index }) => index === permission)
  // A further round of a call takes neither a call nor money: the first round took both.
  if (covering === undefined || reserved.calls !== (continues === undefined ? 1 : 0)) return false
  const { cost } = continues === undefined ? covering : {}
  const price = cost === undefined ? {} : { [cost.currency]: formatMicros(cost.micros) }
  return JSON.stringify(microsOf(reserved)) === JSON.stringify(microsOf({ ...reserved, cost: price }))
}

const microsOf = ({ cost }: BudgetAmounts) =>
  Object.entries(cost)
    .map(([currency, amount]) => `${currency} ${parseMicros(amount)}`)
    .sort()

/**
 * The document in which these JSON pointers find these values. A forged event may point into a string, or at the
 * prototype of every object.
 */
function document(values: Readonly<Record<string, unknown>>): object {
  const root: Record<string, unknown> = Object.create(null)
  for (const [pointer, value] of Object.entries(values)) {
    const tokens = pointer.slice(1).split('/')
    const names = tokens.map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))
    let at = root
    for (const name of names.slice(0, -1)) {
      const inner = at[name]
      at = at[name] =
        typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>) : Object.create(null)
    }
    at[names.at(-1) ?? ''] = value
  }
  return root
}

/** At every point of every tree, the amounts taken and not returned are within its uses and its budget (V9). */
export function budgetFindings({ facts, registry }: Meaning): Finding[] {
  const findings: Finding[] = []
  const spent = new Map<string, bigint>()
  const missing = new Set<Decision>()
  const sum = (tree: string, what: string, by = 0n) => {
    const total = (spent.get(`${tree} ${what}`) ?? 0n) + by
    spent.set(`${tree} ${what}`, total)
    return total
  }
  for (const { event, index, counts } of facts.charges) {
    if (!counts) continue
    const tree = event.partitionkey
    const bad = (detail: string) => void findings.push({ leaf: index, rule: 'V9', detail: `${tree}: ${detail}` })
    if (event.type === 'decision.allowed') {
      for (const [purse, authority, permission] of pursesOf(facts.trees.get(tree), tree, event.data)) {
        const limits = limitsOf(authority)
        const most = limits.get('egress_bytes')
        if (most !== undefined && (sum(purse, 'egress_bytes') >= most || sum(purse, 'unmeasured') > 0n))
          bad(`${purse}: egress_bytes: ${sum(purse, 'egress_bytes')} of ${most} were sent, or it is unknown`)
        if (most !== undefined && !isHeldTo(event.data)) bad(`${purse}: egress_bytes: its answer is held to no limit`)
        for (const [what, by] of takenBy(event.data.reserved, permission)) {
          const limit = limits.get(what)
          const total = sum(purse, what, by)
          if (limit !== undefined && total > limit) bad(`${purse}: ${what}: ${total} of ${limit}`)
          if (limit === undefined && what.startsWith('cost:')) bad(`${what}: no budget`)
        }
      }
      continue
    }
    const decision =
      'decision_id' in event.data ? facts.decisions.get(decisionKey(tree, event.data.decision_id)) : undefined
    if (decision === undefined) continue
    const { reserved, permission } = decision.data
    const purses = pursesOf(facts.trees.get(tree), tree, decision.data)
    const wasMissing = missing.has(decision)
    const mayBytes = BigInt(reserved.egress_bytes)
    const sent =
      event.type === 'decision.abandoned' ? 0n : event.type === 'outcome.reported' ? sentBy(event.data) : undefined
    if (mayBytes > 0n && sent !== undefined && sent > mayBytes) bad(`egress_bytes: ${sent} of ${mayBytes} were sent`)
    for (const [purse] of purses) {
      if (mayBytes === 0n && wasMissing) sum(purse, 'unmeasured', -1n)
      if (mayBytes === 0n && sent === undefined) sum(purse, 'unmeasured', 1n)
      // A call without a reported outcome counts as sent in full, and a late outcome returns nothing.
      if (sent !== undefined && (!wasMissing || sent > mayBytes)) sum(purse, 'egress_bytes', sent - mayBytes)
    }
    if (event.type === 'outcome.missing') missing.add(decision)
    if (event.type === 'decision.abandoned')
      for (const [purse, , index] of purses) for (const [what, by] of notBytes(reserved, index)) sum(purse, what, -by)
    if (event.type !== 'outcome.reported') continue
    const { released, status } = event.data
    const back = takenBy(released, permission)
    const spent = status === 'not_executed' ? undefined : spentBy(event.data)
    // Without a reservation in that currency, none of it may be spent.
    const { cost } = firstRound(facts, decision).data.reserved
    const most = spent && (parseMicros(cost[spent.currency] ?? '0') ?? 0n)
    if (spent !== undefined && most !== undefined && spent.micros > most)
      bad(`cost:${spent.currency}: ${spent.micros} of ${most} were spent`)
    if (back.every(([, by]) => by === 0n)) continue
    // Every reader of the log ignores it, so here too it leaves as much spent as there was.
    if (wasMissing) {
      bad('a late outcome returns nothing')
      continue
    }
    const point = registry.get('enforcement-point', event.data.enforcement_point, Date.parse(event.time))
    const mayRelease = point?.may_release === true && !isInProcess(event.data.outcome)
    const isUnspent = status === 'not_executed' || isRest(released, spent, most)
    if (!isUnspent || !mayRelease) bad('released what may have been spent')
    const whole = new Map(takenBy(reserved, permission))
    if (back.some(([what, by]) => by > (whole.get(what) ?? 0n))) bad('released more than was reserved')
    for (const [purse, , index] of purses) for (const [what, by] of notBytes(released, index)) sum(purse, what, -by)
  }
  return findings
}

/** The decision reserved bytes, and obliged the enforcement point to let no more of them leave. */
function isHeldTo({ reserved, obligations = [] }: Allowed): boolean {
  const limits = obligations.flatMap((each) => {
    const { properties } = each as { properties?: { action?: unknown; bytes?: unknown } }
    return properties?.action === 'limit' ? [properties.bytes] : []
  })
  return reserved.egress_bytes > 0 && limits.length === 1 && limits[0] === reserved.egress_bytes
}

/** Returns the bytes that were not sent. */
const notBytes = (amounts: BudgetAmounts, permission: number) => takenBy({ ...amounts, egress_bytes: 0 }, permission)

interface Money {
  currency: string
  micros: bigint
}

/** What the enforcement point signed as the cost of an effect that is over; undefined: it does not say. */
function spentBy({ outcome }: EventData<'decisions.v1', 'outcome.reported'>): Money | undefined {
  try {
    const { status, cost } = JSON.parse(Buffer.from(openCompact(outcome)?.payload ?? []).toString('utf8'))
    const micros = parseMicros(cost.amount)
    return (status === 'succeeded' || status === 'failed') && micros !== undefined
      ? { currency: cost.currency, micros }
      : undefined
  } catch {
    return undefined
  }
}

/** Money alone, and exactly the part of the reservation that the effect did not cost. */
function isRest({ calls, egress_bytes, cost }: BudgetAmounts, spent?: Money, most?: bigint): boolean {
  const [[currency, amount] = [], ...others] = Object.entries(cost)
  if (calls > 0 || egress_bytes > 0 || others.length > 0 || spent === undefined || most === undefined) return false
  return currency === spent.currency && parseMicros(amount ?? '') === most - spent.micros
}

/** The number of bytes that the enforcement point signed as sent; undefined: it does not say, or did not see. */
function sentBy({ outcome }: EventData<'decisions.v1', 'outcome.reported'>): bigint | undefined {
  try {
    const { status, egress_bytes } = JSON.parse(Buffer.from(openCompact(outcome)?.payload ?? []).toString('utf8'))
    if (status === 'not_observed') return undefined
    if (egress_bytes === undefined) return status === 'not_executed' ? 0n : undefined
    return BigInt(egress_bytes)
  } catch {
    return undefined
  }
}

/** The purses that an ALLOW takes from: the tree, and each delegation of its chain, with the permission that is charged there. */
function pursesOf(
  tree: Tree | undefined,
  id: string,
  { permission, chain = [] }: Allowed,
): [purse: string, authority: Authority | undefined, permission: number][] {
  const whole = tree?.life[0] && authorityOf(tree.life[0].data.grant)
  const links = chain.map((link): [string, Authority | undefined, number] => {
    const parsed = parseAuthority(tree?.delegations.get(link.delegation_id)?.data.authority)
    return [`${id} ${link.delegation_id}`, parsed.ok ? parsed.authority : undefined, link.permission]
  })
  return [[id, whole, permission], ...links]
}

function limitsOf(authority: Authority | undefined): Map<string, bigint> {
  const limits = new Map<string, bigint>()
  if (authority === undefined) return limits
  const { calls, egress_bytes, cost } = authority.budget
  if (calls !== undefined) limits.set('calls', BigInt(calls))
  if (egress_bytes !== undefined) limits.set('egress_bytes', BigInt(egress_bytes))
  for (const [currency, amount] of Object.entries(cost ?? {})) limits.set(`cost:${currency}`, parseMicros(amount) ?? 0n)
  for (const [n, { max_uses }] of authority.permissions.entries())
    if (max_uses !== undefined) limits.set(`uses:${n}`, BigInt(max_uses))
  return limits
}

/** A call takes one use, and returns it with the call. */
function takenBy({ calls, egress_bytes, cost }: BudgetAmounts, permission: number): [what: string, by: bigint][] {
  return [
    ['calls', BigInt(calls)],
    ['egress_bytes', BigInt(egress_bytes)],
    [`uses:${permission}`, calls > 0 ? 1n : 0n],
    ...Object.entries(cost).map(([c, amount]): [string, bigint] => [`cost:${c}`, parseMicros(amount) ?? 0n]),
  ]
}
