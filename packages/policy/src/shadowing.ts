import { isDeepStrictEqual } from 'node:util'
import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import { isStepUp } from './cedar-engine.ts'
import type { EntityName } from './entity-name.ts'
import { namesIn } from './entity-store.ts'
import type { Policy } from './policy-set.ts'
import { keyOf } from './schema-shapes.ts'

type Scope = PolicyJson['principal'] | PolicyJson['action'] | PolicyJson['resource']
/** What an entity is in, at any distance, in every request. */
type Above = (name: EntityName) => readonly EntityName[]

/**
 * The policy that leaves this one nothing to say: it matches wherever this one does, and weighs at least as much. Never one that
 * does not; of those that do, only those are found whose scope, by types and groups, and conditions, word for word, show it.
 */
export function shadowOf(policy: Policy, others: Iterable<Policy>, above: Above): Policy | undefined {
  const earlier = new Set<Policy>()
  let isBefore = true
  for (const other of others) {
    if (other === policy) isBefore = false
    else if (isBefore) earlier.add(other)
    // Of two that say the same, the second is the one too many.
    const isOneOfBoth = () => !earlier.has(other) && outweighs(policy, other, above)
    if (other !== policy && outweighs(other, policy, above) && !isOneOfBoth()) return other
  }
  return undefined
}

function outweighs(a: Policy, b: Policy, above: Above): boolean {
  if (a.json.effect === 'permit' && b.json.effect === 'forbid') return false
  // What a human's word takes away still leaves what nothing does.
  if (isStepUp(a) && !isStepUp(b)) return false
  // What it obliges to, nobody else may.
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

/** Whether whoever is named by the one, or in it, is in what the other names. */
function areWithin(narrow: Scope, wide: Scope, above: Above): boolean {
  const groups = new Set(namesIn(wide).map(keyOf))
  const inside = namesIn(narrow)
  return inside.length > 0 && inside.every((name) => [name, ...above(name)].some((each) => groups.has(keyOf(each))))
}

/** The only type that a scope fits. */
function typeOf(scope: Scope): string | undefined {
  if (scope.op === 'is') return scope.entity_type
  return scope.op === '==' ? namesIn(scope)[0]?.type : undefined
}
