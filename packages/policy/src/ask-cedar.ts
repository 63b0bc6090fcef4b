import type { EntityJson } from '@cedar-policy/cedar-wasm/nodejs'
import { statefulIsAuthorized } from './cedar.ts'
import type { PolicyAnswer, PolicyRequest } from './policy-engine.ts'
import { type Finding, findingsOf } from './policy-set.ts'
import type { Preparsed } from './preparse.ts'

/** Cedar's own answer, or why there is none. */
export type CedarAnswer =
  | { ok: true; decision: 'allow' | 'deny'; reason: string[]; errors: Finding[] }
  | { ok: false; error: string }

/** Never throws. `validate`: whether the request must match the schema; its entities and context must match in any case. */
export function askCedar({ policies, schema }: Preparsed, request: PolicyRequest, validate = true): CedarAnswer {
  const { principal, action, resource, context } = request
  try {
    const answer = statefulIsAuthorized({
      principal: nameOf(principal),
      action: typeof action === 'string' ? { type: 'Action', id: action } : nameOf(action),
      resource: nameOf(resource),
      context: context as Record<string, never>,
      entities: entitiesOf(request),
      preparsedPolicySetId: policies,
      ...(schema === undefined ? {} : { preparsedSchemaName: schema, validateRequest: validate }),
    })
    if (answer.type === 'failure') return { ok: false, error: answer.errors[0]?.message ?? 'not valid' }
    const { decision, diagnostics } = answer.response
    // Cedar returns both in the order of its hash tables: the same request must get the same answer.
    return { ok: true, decision, reason: diagnostics.reason.toSorted(), errors: findingsOf(diagnostics.errors) }
  } catch (error) {
    return { ok: false, error: String(error) }
  }
}

/**
 * Turns Cedar's answer into ours. Cedar skips a forbid whose condition errors, so an answer in which any policy erred is not an answer
 * (V13).
 */
export function judge(answer: CedarAnswer): PolicyAnswer {
  if (!answer.ok) return { outcome: 'invalid', why: answer.error }
  if (answer.errors.length > 0) return { outcome: 'error', policies: answer.errors.map(({ policyId }) => policyId) }
  return { outcome: answer.decision, policies: answer.reason }
}

const nameOf = ({ type, id }: PolicyRequest['resource']) => ({ type, id })

/** All entities that policies may read, including the principal and the resource. */
export const entitiesOf = ({ entities = [], principal, resource }: PolicyRequest): EntityJson[] => [
  ...entities,
  ...[principal, resource].flatMap(entityOf),
]

function entityOf({ type, id, attributes }: PolicyRequest['resource']): EntityJson[] {
  return attributes === undefined ? [] : [{ uid: { type, id }, attrs: attributes as EntityJson['attrs'], parents: [] }]
}
