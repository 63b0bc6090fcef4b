import type { PolicyFiles } from '@bailiwick/installation'
import {
  type CheckParseAnswer,
  type EntityJson,
  preparsePolicySet,
  preparseSchema,
  statefulIsAuthorized,
} from '@cedar-policy/cedar-wasm/nodejs'
import type { PolicyAnswer, PolicyEngine, PolicyRequest } from './policy-engine.ts'
import { invalid, loadPolicySet, type Policy, textsOf } from './policy-set.ts'

/**
 * Loads a policy set into Cedar. Throws `config_invalid`, naming the file, for anything that does not parse or validate, a
 * template, a duplicate id or a missing schema: a set that cannot be read is not a set that allows.
 */
export function cedarEngine(files: PolicyFiles): PolicyEngine {
  // The wasm keeps what was parsed by name, for ever: by the set's own hash, no engine ever answers with another's policies.
  const { hash: name, schema, policies } = loadPolicySet(files)
  if (schema === undefined) throw invalid('schema.cedarschema', 'missing')
  requireParsed(preparseSchema(name, schema))
  requireParsed(preparsePolicySet(name, { staticPolicies: textsOf(policies.values()) }))
  const stepUps = stepUpsOf(policies.values())
  if (stepUps.size === 0) return { evaluate: (request) => evaluate(name, name, request) }
  // Whether anything else stands in the way is asked of the same policies without those that want a human's word.
  const others = Array.from(policies.values()).filter(({ id }) => !stepUps.has(id))
  const waived = `${name} without step-ups`
  requireParsed(preparsePolicySet(waived, { staticPolicies: textsOf(others) }))
  return {
    evaluate(request) {
      const answer = evaluate(name, name, request)
      if (answer.outcome !== 'deny' || !answer.policies.some((id) => stepUps.has(id))) return answer
      const { outcome } = evaluate(waived, name, request)
      return outcome === 'allow' ? { outcome: 'step_up', policies: answer.policies } : answer
    },
  }
}

function evaluate(
  policies: string,
  schema: string,
  { principal, action, resource, context }: PolicyRequest,
): PolicyAnswer {
  const entities = [principal, resource].map(({ type, id, attributes }) => ({
    uid: { type, id },
    attrs: attributes,
    parents: [],
  })) as EntityJson[]
  try {
    const answer = statefulIsAuthorized({
      principal: { type: principal.type, id: principal.id },
      action: { type: 'Action', id: action },
      resource: { type: resource.type, id: resource.id },
      context: context as Record<string, never>,
      entities,
      preparsedPolicySetId: policies,
      preparsedSchemaName: schema,
      validateRequest: true,
    })
    if (answer.type === 'failure') return { outcome: 'invalid' }
    const { decision, diagnostics } = answer.response
    // Cedar skips a forbid whose condition errors: an answer that any policy had no part in is no answer (V13).
    if (diagnostics.errors.length > 0)
      return { outcome: 'error', policies: diagnostics.errors.map(({ policyId }) => policyId) }
    return { outcome: decision, policies: diagnostics.reason }
  } catch {
    return { outcome: 'invalid' }
  }
}

/** Which policies want a human's word, `@step_up("…")`. Only a forbid can: a permit that a human must add to would permit without. */
function stepUpsOf(policies: Iterable<Policy>): ReadonlySet<string> {
  const stepUps = new Set<string>()
  for (const { id, file, json } of policies) {
    if (!Object.hasOwn(json.annotations ?? {}, 'step_up')) continue
    if (json.effect !== 'forbid') throw invalid(file, `${id}: @step_up belongs to a forbid`)
    stepUps.add(id)
  }
  return stepUps
}

function requireParsed(answer: CheckParseAnswer): void {
  if (answer.type === 'failure') throw invalid('the set', answer.errors[0]?.message)
}
