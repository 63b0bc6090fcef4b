import { isDeepStrictEqual } from 'node:util'
import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import { isStepUp } from './cedar-engine.ts'
import type { EntityName } from './entity-name.ts'
import { namesIn } from './entity-store.ts'
import type { Policy } from './policy-set.ts'
import { keyOf } from './schema-shapes.ts'

type Scope = PolicyJson['principal'] | PolicyJson['action'] | PolicyJson['resource']
/** Everything that an entity is in, at any distance, in every request. */
type Above = (name: EntityName) => readonly EntityName[]

/**
 * Finds the policy that makes this one redundant: it matches wherever this one does, and weighs at least as much. Every result is correct,
 * but only such policies are found whose scope, by types and groups, and conditions, word for word, show it.
 */
export function shadowOf(policy: Policy, others: Iterable<Policy>, above: Above): Policy | undefined {
  const earlier = new Set<Policy>()
  let isBefore = true
  for (const other of others) {
    if (other === policy) isBefore = false
    else if (isBefore) earlier.add(other)
    // Of two equal policies, the second is the redundant one.
    const isOneOfBoth = () => !earlier.has(other) && outweighs(policy, other, above)
    if (other !== policy && outweighs(other, policy, above) && !isOneOfBoth()) return other
  }
  return undefined
}

function outweighs(a: Policy, b: Policy, above: Above): boolean {
  if (a.json.effect === 'permit' && b.json.effect === 'forbid') return false
  // An action that a step-up policy stops can still be approved; other policies do not allow that.
  if (isStepUp(a) && !isStepUp(b)) return false
  // Its obligations come from no other policy.
  if (b.obliges !== undefined) return false
  const { principal, action, resource, conditions } = a.json
  return (
    includes(principal, b.json.principal, above) &&
    includes(action, b.json.action, above) &&
    includes(resource, b.json.resource, above) &&
    conditions.every((condition) => b.json.conditions.some((each) => isDeepStrictEqual(each, condition)))
  )
}

function includes(wide: Scope, narrow: Scope, above: Above): boolean {
  if (wide.op === 'All' || isDeepStrictEqual(wide, narrow)) return true
  switch (wide.op) {
    case '==':
      return false
    case 'is':
      return typeOf(narrow) === wide.entity_type && (wide.in === undefined || areWithin(narrow, wide, above))
    case 'in':
      return areWithin(narrow, wide, above)
  }
}

/** Whether everything that the narrow scope names, or that is in it, is in the wide scope. */
function areWithin(narrow: Scope, wide: Scope, above: Above): boolean {
  const groups = new Set(namesIn(wide).map(keyOf))
  const inside = namesIn(narrow)
  return inside.length > 0 && inside.every((name) => [name, ...above(name)].some((each) => groups.has(keyOf(each))))
}

/** The only type that a scope matches. */
function typeOf(scope: Scope): string | undefined {
  if (scope.op === 'is') return scope.entity_type
  return scope.op === '==' ? namesIn(scope)[0]?.type : undefined
}
