import { type Authority, type Permission, parseMicros, withinResource } from '@bailiwick/authority'
import { type Agent, agentIdOf, type Rule, type ToolServer } from '@bailiwick/contracts'
import type { Refused } from '@bailiwick/credentials'
import { isEmergency } from './emergency.ts'
import { refused } from './refused.ts'
import { countsCost, labelsWithin } from './tool-labels.ts'

type Match = Rule['match']
type Scope = NonNullable<Match['resources']>[number]

/** The state against which rules are matched, at one time chosen by the caller. */
export interface RuleView {
  readonly rules: ReadonlyMap<string, Rule>
  readonly agents: ReadonlyMap<string, Pick<Agent, 'labels' | 'attestor'>>
  readonly toolServers: ReadonlyMap<string, Pick<ToolServer, 'id' | 'tools'>>
}

/**
 * The id of the rule that says who may change the registry and how many people must sign. Without this rule any approver may. It governs
 * nothing else: its `match` is not read.
 */
export const registryRuleId = 'registry'

/**
 * Finds the rule that says who may approve this agent instance's request. Rules are tried by `order`, then `id`; a missing member of
 * `match` matches everything. The first rule that touches any part of the request must cover all of it: otherwise a request could evade a
 * strict rule by also asking for something harmless, or something broader. `approval_rule_missing` names the rule that was in the way;
 * `splitByRule` then finds the parts, or the operator orders a rule before it.
 *
 * The matching rule may require closed permissions or listed delegates. If the request lacks them, no other rule is tried
 * (`approval_rule_mismatch`).
 *
 * The rules for emergencies hold for the emergency identities of people, and no other rule does.
 *
 * What a permission may reach counts, not the purpose that the agent states: a scope that holds several tools has the labels of each of
 * them, and a scope that may hold an undescribed tool also has `unlabelled`.
 */
export function matchRule(
  view: RuleView,
  { agent, authority }: { agent: string; authority: Authority },
): { ok: true; rule: Rule } | Refused {
  const known = view.agents.get(agentIdOf(agent))
  if (known === undefined) return refused('agent_unknown', 'rules hold for agents that are registered')
  const inOrder = [...view.rules.values()]
    .filter(({ id, emergency }) => id !== registryRuleId && (emergency !== undefined) === isEmergency(known))
    .sort((a, b) => a.order - b.order || (a.id < b.id ? -1 : 1))
  const permissions = authority.permissions.map((each) => ({
    ...each,
    reach: reachOf(each, view),
    isCounted: countsCost(each, view.toolServers),
  }))
  for (const rule of inOrder) {
    const { match } = rule
    if (!matchesAgent(match, agent, known.labels)) continue
    if (!permissions.some((each) => touches(match, each, authority))) continue
    if (!permissions.every((each) => holds(match, each, authority)))
      return refused('approval_rule_missing', `rule ${rule.id} holds for a part of what is asked only`)
    const lacking = lackingFor(rule, authority)
    return lacking === undefined ? { ok: true, rule } : refused('approval_rule_mismatch', lacking)
  }
  return refused('approval_rule_missing', 'no rule holds for what is asked')
}

/** What the rule requires and the authority does not state, and how to fix it. */
function lackingFor({ id, closed_permissions, listed_delegates }: Rule, authority: Authority): string | undefined {
  const { permissions, delegates, max_depth, max_children } = authority
  if (closed_permissions === true && permissions.some((each) => each.arguments !== 'closed'))
    return `rule ${id} wants closed permissions: add "arguments": "closed" to each, and name every argument in where`
  const isDelegable = max_depth > 0 && max_children > 0
  if (listed_delegates === true && isDelegable && delegates === undefined)
    return `rule ${id} wants delegates to be listed: add "delegates", or "max_depth": 0`
  return undefined
}

/** A permission with the labels of what it may reach. One request is compared with many rules, so the labels are computed once. */
interface Reaching extends Permission {
  reach: () => readonly (readonly string[])[]
  /** Whether its cost is the one that the tool defines. */
  isCounted: boolean
}

function reachOf({ resource }: Permission, { toolServers }: RuleView): Reaching['reach'] {
  let found: ReturnType<Reaching['reach']> | undefined
  return () => {
    found ??= labelsWithin(resource, toolServers)
    return found
  }
}

/** An agent's id matches each of its instances, `<id>/<instance>`. */
function matchesAgent({ agents, agent_labels: wanted }: Match, agent: string, labels: readonly string[]): boolean {
  return (
    (agents === undefined || agents.some((id) => id === '*' || id === agent || agent.startsWith(`${id}/`))) &&
    (wanted === undefined || hasOneOf(wanted, labels))
  )
}

function holds(match: Match, permission: Reaching, authority: Authority): boolean {
  const { actions, resources, labels: wanted } = match
  const { actions: asked, resource, reach } = permission
  const within = (scope: Scope) =>
    'id' in scope || 'id_prefix' in scope ? withinResource(resource, scope) : scope.type === resource.type
  return (
    (actions === undefined || asked.every((action) => actions.includes(action))) &&
    (resources === undefined || resources.some(within)) &&
    (wanted === undefined || reach().every((labels) => hasOneOf(wanted, labels))) &&
    mayCostMore(match, permission, authority)
  )
}

function touches(match: Match, permission: Reaching, authority: Authority): boolean {
  const { actions, resources, labels: wanted } = match
  const { actions: asked, resource, reach } = permission
  return (
    (actions === undefined || asked.some((action) => actions.includes(action))) &&
    (resources === undefined || resources.some((scope) => overlaps(scope, resource))) &&
    (wanted === undefined || reach().some((labels) => hasOneOf(wanted, labels))) &&
    mayCostMore(match, permission, authority)
  )
}

function hasOneOf(wanted: readonly string[], labels: readonly string[]): boolean {
  return wanted.some((label) => labels.includes(label))
}

/**
 * Whether a permission may cost more than the rule's threshold. A counted cost is bounded by the budget, and a currency that the budget
 * does not list cannot be spent. All other costs are treated as above every amount: otherwise an agent that omits its cost, or picks
 * another argument for it, would fall under the rule for cheap calls.
 */
function mayCostMore({ cost_above }: Match, { isCounted }: Reaching, { budget }: Authority): boolean {
  if (cost_above === undefined || !isCounted) return true
  const amounts = budget.cost ?? {}
  return Object.entries(cost_above).some(([currency, from]) => {
    const most = Object.hasOwn(amounts, currency) ? amounts[currency] : undefined
    return (parseMicros(most ?? '0') ?? 0n) > (parseMicros(from) ?? 0n)
  })
}

/**
 * Whether one resource may be in both scopes. Compares letters only, so a scope not in normal form blocks the match instead of slipping
 * past.
 */
function overlaps(scope: Scope, resource: Permission['resource']): boolean {
  if (scope.type !== resource.type) return false
  const asked = resource.id ?? resource.id_prefix ?? ''
  if ('id' in scope) return resource.id === undefined ? scope.id.startsWith(asked) : scope.id === asked
  if ('id_prefix' in scope)
    return asked.startsWith(scope.id_prefix) || (resource.id === undefined && scope.id_prefix.startsWith(asked))
  return true
}
