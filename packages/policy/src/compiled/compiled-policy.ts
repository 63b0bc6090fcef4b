import type { EntityUidJson, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import type { Policy } from '../policy-set.ts'
import { exactConditions } from './exact-policy.ts'
import { compileExpression, type Evaluate, truth } from './expressions.ts'
import { isWithin, NotCompiled, type Situation } from './situation.ts'
import { Entity } from './values.ts'

/** What a scope requires of the principal, the action or the resource. It never errs. */
export interface Constraint {
  type?: string
  /** It must be this one. */
  is?: Entity
  /** It must be in one of these. */
  within?: readonly Entity[]
}

export interface CompiledPolicy {
  id: string
  effect: PolicyJson['effect']
  principal: Constraint
  action: Constraint
  resource: Constraint
  /** Whether its conditions hold for a request in its scope; throws `erred`. A string: why they are not compiled. */
  holds: ((situation: Situation) => boolean) | string
}

/** Throws nothing: a policy that is not compiled says so. */
export function compilePolicy(policy: Policy): CompiledPolicy {
  const { id, json } = policy
  return {
    id,
    effect: json.effect,
    principal: constraint(json.principal),
    action: constraint(json.action),
    resource: constraint(json.resource),
    holds: conditions(policy),
  }
}

function conditions(policy: Policy): CompiledPolicy['holds'] {
  try {
    // The order of erring policies would depend on their messages.
    if (policy.id.includes('\n')) throw new NotCompiled('a line feed in its id')
    const clauses = exactConditions(policy).map(({ kind, body }) => clause(kind, compileExpression(body)))
    return (situation) => clauses.every((holds) => holds(situation))
  } catch (error) {
    if (error instanceof NotCompiled) return error.message
    throw error
  }
}

const clause = (kind: 'when' | 'unless', body: Evaluate) => (situation: Situation) =>
  truth(body(situation)) === (kind === 'when')

type ScopeJson = PolicyJson['principal'] | PolicyJson['action']

function constraint(scope: ScopeJson): Constraint {
  switch (scope.op) {
    case 'All':
      return {}
    case '==':
      return { is: named(scope) }
    case 'in':
      return { within: 'entities' in scope ? scope.entities.map(entityOf) : [named(scope)] }
    case 'is':
      return { type: scope.entity_type, ...(scope.in === undefined ? {} : { within: [named(scope.in)] }) }
  }
}

/** A static policy has no slots. */
const named = (scope: { entity: EntityUidJson } | { slot: string }): Entity =>
  entityOf('entity' in scope ? scope.entity : { type: '', id: '' })

const entityOf = (name: EntityUidJson): Entity => new Entity('__entity' in name ? name.__entity : name)

/** Whether the request is in the policy's scope. */
export function isInScope({ principal, action, resource }: CompiledPolicy, situation: Situation): boolean {
  return (
    fits(situation.action, action, situation) &&
    fits(situation.principal, principal, situation) &&
    fits(situation.resource, resource, situation)
  )
}

function fits(entity: Entity, { type, is, within }: Constraint, situation: Situation): boolean {
  if (is !== undefined) return is.key === entity.key
  if (type !== undefined && type !== entity.type) return false
  return within === undefined || within.some(({ key }) => isWithin(entity, key, situation))
}
