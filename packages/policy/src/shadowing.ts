import { isDeepStrictEqual } from 'node:util'
import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import { isStepUp } from './cedar-engine.ts'
import type { Policy } from './policy-set.ts'

type Scope = PolicyJson['principal'] | PolicyJson['action'] | PolicyJson['resource']

/**
 * The policy that leaves this one nothing to say: it matches wherever this one does, and weighs at least as much. Never one that
 * does not; of those that do, only those are found whose scope and conditions show it word for word.
 */
export function shadowOf(policy: Policy, others: Iterable<Policy>): Policy | undefined {
  const earlier = new Set<Policy>()
  let isBefore = true
  for (const other of others) {
    if (other === policy) isBefore = false
    else if (isBefore) earlier.add(other)
    // Of two that say the same, the second is the one too many.
    if (other !== policy && outweighs(other, policy) && (earlier.has(other) || !outweighs(policy, other))) return other
  }
  return undefined
}

function outweighs(a: Policy, b: Policy): boolean {
  if (a.json.effect === 'permit' && b.json.effect === 'forbid') return false
  // What a human's word takes away still leaves what nothing does.
  if (isStepUp(a) && !isStepUp(b)) return false
  // What it obliges to, nobody else may.
  if (b.obliges !== undefined) return false
  const { principal, action, resource, conditions } = a.json
  return (
    includes(principal, b.json.principal) &&
    includes(action, b.json.action) &&
    includes(resource, b.json.resource) &&
    conditions.every((condition) => b.json.conditions.some((each) => isDeepStrictEqual(each, condition)))
  )
}

function includes(wide: Scope, narrow: Scope): boolean {
  if (wide.op === 'All' || isDeepStrictEqual(wide, narrow)) return true
  switch (wide.op) {
    case '==':
      return false
    case 'is':
      return wide.in === undefined && narrow.op === 'is' && narrow.entity_type === wide.entity_type
    case 'in': {
      const groups = named(wide)
      const inside = named(narrow)
      return inside.length > 0 && inside.every((name) => groups.some((group) => isDeepStrictEqual(group, name)))
    }
  }
}

/** Whom `==` and `in` name; who is in several groups of `in [...]` is in one of them. */
function named(scope: Scope): unknown[] {
  if (scope.op === 'is') return scope.in === undefined ? [] : named({ op: 'in', ...scope.in })
  if ('entities' in scope) return scope.entities
  return 'entity' in scope ? [scope.entity] : []
}
