import { type EntityJson, isAuthorizedPartial, type ResidualResponse } from '@cedar-policy/cedar-wasm/nodejs'
import type { PlainRequest } from './authzen-policies.ts'
import type { EntityName } from './entity-name.ts'
import { isExactInteger } from './exact-json.ts'
import type { PolicyRequest } from './policy-engine.ts'
import type { PolicySet } from './policy-set.ts'
import { PolicyTrial, type TrialAnswer } from './policy-trial.ts'
import { keyOf } from './schema-shapes.ts'
import { withUnknown } from './unscoped.ts'

/** Why policies answer a request as they do. */
export interface Explanation extends TrialAnswer {
  /** Attributes any of which, being otherwise, could alone change whether it is allowed; of what the request says and policies look at by name. */
  wouldChange: Decisive[]
}

interface Decisive {
  /** `context.grant.mode`, `subject.labels`, `resource.labels` */
  attribute: string
  /** In Cedar's JSON. */
  value: unknown
  /** The policies that look at it. */
  policies: string[]
}

/** Throws `config_invalid` for a set that does not load, `request_malformed` for a member that only Cedar may use. */
export function explainPolicies(set: PolicySet, request: PlainRequest): Explanation {
  const trial = new PolicyTrial(set)
  const answer = trial.ask(request)
  const asked = trial.cedarRequest(request)
  if (asked === undefined || answer.outcome === 'invalid') return { ...answer, wouldChange: [] }
  const allowed = answer.outcome === 'allow'
  return { ...answer, wouldChange: leavesOf(asked).flatMap((leaf) => decisive(set, asked, leaf, allowed)) }
}

/** Where a value stands, from the outside in; of `context`, or of an entity of the request. */
interface Leaf {
  of: 'context' | 'subject' | 'resource'
  path: string[]
  value: unknown
}

/** Cedar's partial evaluation, with this one attribute unknown: whether the answer is still the same whatever it is. */
function decisive(set: PolicySet, asked: PolicyRequest, { of, path, value }: Leaf, allowed: boolean): Decisive[] {
  const attribute = [of, ...path].join('.')
  const place = [of === 'subject' ? 'principal' : of, ...path]
  const policies = Array.from(set.policies.values(), (policy) => [policy.id, withUnknown(policy, attribute, place)])
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

/** Whether it is allowed, of Cedar's partial answer; undefined: it depends on what is unknown. Whatever errs denies. */
export function certainly(
  { policies }: Pick<PolicySet, 'policies'>,
  { decision, errored, satisfied, nontrivialResiduals: open }: ResidualResponse,
): boolean | undefined {
  const permits = (ids: readonly string[]) => ids.filter((id) => policies.get(id)?.json.effect === 'permit')
  if (errored.length > 0 || permits(satisfied).length < satisfied.length) return false
  if (open.length === 0) return decision === 'allow'
  return satisfied.length + permits(open).length === 0 ? false : undefined
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
