import type { PolicyFiles } from '@bailiwick/installation'
import { preparsePolicySet, preparseSchema } from '@cedar-policy/cedar-wasm/nodejs'
import { askCedar, judge } from './ask-cedar.ts'
import { invalid, requireParsed } from './invalid-policies.ts'
import type { PolicyEngine, PolicyRequest } from './policy-engine.ts'
import { loadPolicySet, type Policy, textsOf } from './policy-set.ts'

/**
 * Loads a policy set into Cedar. Throws `config_invalid`, naming the file, for anything that does not parse or validate, a
 * template, a duplicate id or a missing schema: a set that cannot be read is not a set that allows.
 */
export function cedarEngine(files: PolicyFiles): PolicyEngine {
  // The wasm keeps what was parsed by name, for ever: by the set's own hash, no engine ever answers with another's policies.
  const { hash: name, schema, policies } = loadPolicySet(files)
  if (schema === undefined) throw invalid('schema.cedarschema', 'missing')
  requireParsed('schema.cedarschema', preparseSchema(name, schema))
  requireParsed('the set', preparsePolicySet(name, { staticPolicies: textsOf(policies.values()) }))
  const evaluate = (set: string, request: PolicyRequest) => judge(askCedar({ policies: set, schema: name }, request))
  const stepUps = stepUpsOf(policies.values())
  if (stepUps.size === 0) return { evaluate: (request) => evaluate(name, request) }
  // Whether anything else stands in the way is asked of the same policies without those that want a human's word.
  const others = Array.from(policies.values()).filter(({ id }) => !stepUps.has(id))
  const waived = `${name} without step-ups`
  requireParsed('the set', preparsePolicySet(waived, { staticPolicies: textsOf(others) }))
  return {
    evaluate(request) {
      const answer = evaluate(name, request)
      if (answer.outcome !== 'deny' || !answer.policies.some((id) => stepUps.has(id))) return answer
      const { outcome } = evaluate(waived, request)
      return outcome === 'allow' ? { outcome: 'step_up', policies: answer.policies } : answer
    },
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
