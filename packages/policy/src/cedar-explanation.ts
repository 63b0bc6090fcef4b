import type { EntityJson, PolicyJson, ResidualResponse } from '@cedar-policy/cedar-wasm/nodejs'
import { entitiesOf } from './ask-cedar.ts'
import { isAuthorizedPartial } from './cedar.ts'
import type { EntityName } from './entity-name.ts'
import { isExactInteger } from './exact-json.ts'
import type { Decisive, PolicyRequest } from './policy-engine.ts'
import type { PolicySet } from './policy-set.ts'
import { mayApply } from './residuals.ts'
import { keyOf } from './schema-shapes.ts'
import { withUnknown } from './unscoped.ts'

type Explained = Pick<PolicySet, 'schema' | 'policies'>

/** Each attribute of the request that could alone change whether it is `allowed`. */
export function decisiveOf(set: Explained, asked: PolicyRequest, allowed: boolean): Decisive[] {
  const spelled = { ...asked, entities: entitiesOf(asked) }
  return leavesOf(spelled).flatMap((leaf) => decisive(set, spelled, leaf, allowed))
}

/** The path of a value, from the outside in; in `context`, or in an entity of the request. */
interface Leaf {
  of: 'context' | 'subject' | 'resource'
  path: string[]
  value: unknown
}

/** Partial evaluation with this one attribute unknown: finds out whether the answer could change with its value. */
function decisive(set: Explained, asked: PolicyRequest, { of, path, value }: Leaf, allowed: boolean): Decisive[] {
  const attribute = [of, ...path].join('.')
  const place = [of === 'subject' ? 'principal' : of, ...path]
  const policies: [string, PolicyJson | string][] = []
  for (const policy of set.policies.values()) {
    const open = withUnknown(policy, attribute, place)
    if (open === undefined) return []
    policies.push([policy.id, open])
  }
  const { type, id } = asked.principal
  const answer = isAuthorizedPartial({
    principal: { type, id },
    action: typeof asked.action === 'string' ? { type: 'Action', id: asked.action } : asked.action,
    resource: { type: asked.resource.type, id: asked.resource.id },
    context: asked.context as Record<string, never>,
    entities: [...(asked.entities ?? [])],
    policies: { staticPolicies: Object.fromEntries(policies) },
    ...(set.schema === undefined ? {} : { schema: set.schema, validateRequest: false }),
  })
  if (answer.type === 'failure' || certainly(set, answer.response) === allowed) return []
  return [{ attribute, value, policies: answer.response.nontrivialResiduals.toSorted() }]
}

/**
 * Whether Cedar's partial answer is certain to allow; undefined: it depends on the unknown. Any error denies. Cedar leaves `unknown &&
 * false` open, because the unknown may err: that never leads to an allow.
 */
export function certainly(
  { policies }: Pick<PolicySet, 'policies'>,
  { decision, errored, satisfied, residuals, nontrivialResiduals: open }: ResidualResponse,
): boolean | undefined {
  const permits = (ids: readonly string[]) => ids.filter((id) => policies.get(id)?.json.effect === 'permit')
  if (errored.length > 0 || permits(satisfied).length < satisfied.length) return false
  if (open.length === 0) return decision === 'allow'
  const openPermits = permits(open)
  if (open.some((id) => !openPermits.includes(id) && !mayApply(residuals[id], false))) return false
  return satisfied.length + openPermits.filter((id) => mayApply(residuals[id], true)).length === 0 ? false : undefined
}

function leavesOf({ principal, resource, context, entities = [] }: PolicyRequest): Leaf[] {
  const attributes = (name: EntityName) => entities.find((entity) => isOf(entity, name))?.attrs ?? {}
  return [
    ...leaves('context', context),
    ...leaves('subject', attributes(principal)),
    ...leaves('resource', attributes(resource)),
  ]
}

function leaves(of: Leaf['of'], value: unknown, path: string[] = []): Leaf[] {
  const isRecord = typeof value === 'object' && value !== null && !Array.isArray(value)
  if (!isRecord || '__extn' in value || '__entity' in value || isExactInteger(value)) return [{ of, path, value }]
  return Object.entries(value).flatMap(([name, each]) => leaves(of, each, [...path, name]))
}

function isOf({ uid }: EntityJson, name: EntityName): boolean {
  return keyOf('__entity' in uid ? uid.__entity : uid) === keyOf(name)
}
