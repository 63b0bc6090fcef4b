import { type Authority, type Permission, withinResource } from '@bailiwick/authority'
import type { Rule } from '@bailiwick/contracts'
import type { Refused } from '@bailiwick/credentials'
import { refused } from './refused.ts'

type Match = Rule['match']
type Scope = NonNullable<Match['resources']>[number]

/**
 * The rule that says who may change the registry, and how many it takes; without it any approver may. It is about nothing
 * else: what it matches is not read.
 */
export const registryRuleId = 'registry'

/**
 * The rule that says who may approve what this agent instance asks for. Rules are tried by `order`, then `id`; an absent
 * member of `match` matches all. The first rule that touches any part of the request must hold for all of it: else a
 * request evades a strict rule by asking for something harmless, or something broader, besides. `approval_rule_missing`
 * says which rule was in the way; the agent then asks in parts, or the operator orders a rule before it.
 */
export function matchRule(
  rules: Iterable<Rule>,
  { agent, authority }: { agent: string; authority: Authority },
): { ok: true; rule: Rule } | Refused {
  const inOrder = [...rules]
    .filter(({ id }) => id !== registryRuleId)
    .sort((a, b) => a.order - b.order || (a.id < b.id ? -1 : 1))
  for (const rule of inOrder) {
    const { match } = rule
    if (!matchesAgent(match, agent) || !authority.permissions.some((permission) => touches(match, permission))) continue
    return authority.permissions.every((permission) => holds(match, permission))
      ? { ok: true, rule }
      : refused('approval_rule_missing', `rule ${rule.id} holds for a part of what is asked only`)
  }
  return refused('approval_rule_missing', 'no rule holds for what is asked')
}

/** An agent's id stands for each of its instances, `<id>/<instance>`. */
function matchesAgent({ agents }: Match, agent: string): boolean {
  return agents === undefined || agents.some((id) => id === '*' || id === agent || agent.startsWith(`${id}/`))
}

function holds({ actions, resources }: Match, { actions: asked, resource }: Permission): boolean {
  const within = (scope: Scope) =>
    'id' in scope || 'id_prefix' in scope ? withinResource(resource, scope) : scope.type === resource.type
  return (
    (actions === undefined || asked.every((action) => actions.includes(action))) &&
    (resources === undefined || resources.some(within))
  )
}

function touches({ actions, resources }: Match, { actions: asked, resource }: Permission): boolean {
  return (
    (actions === undefined || asked.some((action) => actions.includes(action))) &&
    (resources === undefined || resources.some((scope) => overlaps(scope, resource)))
  )
}

/** Whether one resource may be in both. By the letters alone, so that a scope in no normal form is in the way, not passed by. */
function overlaps(scope: Scope, resource: Permission['resource']): boolean {
  if (scope.type !== resource.type) return false
  const asked = resource.id ?? resource.id_prefix ?? ''
  if ('id' in scope) return resource.id === undefined ? scope.id.startsWith(asked) : scope.id === asked
  if ('id_prefix' in scope)
    return asked.startsWith(scope.id_prefix) || (resource.id === undefined && scope.id_prefix.startsWith(asked))
  return true
}
