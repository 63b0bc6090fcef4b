import type { PolicyFiles } from '@bailiwick/installation'
import { askCedar, judge } from './ask-cedar.ts'
import { invalid } from './invalid-policies.ts'
import type { PolicyAnswer, PolicyEngine, PolicyRequest } from './policy-engine.ts'
import { loadPolicySet, type Policy } from './policy-set.ts'
import { PolicySlices } from './policy-slices.ts'
import { shapesOf } from './schema-shapes.ts'

/**
 * Loads a policy set into Cedar. Throws `config_invalid`, naming the file, for anything that does not parse or validate, a
 * template, a duplicate id or a missing schema: a set that cannot be read is not a set that allows.
 */
export function cedarEngine(files: PolicyFiles): PolicyEngine {
  // The wasm keeps what was parsed by name, for ever: by the set's own hash, no engine ever answers with another's policies.
  const set = loadPolicySet(files)
  if (set.schema === undefined) throw invalid('schema.cedarschema', 'missing')
  const { hash, policies } = set
  const { groups } = shapesOf(set.schema)
  const whole = new PolicySlices(set, hash, groups)
  const stepUps = stepUpsOf(policies.values())
  if (stepUps.size === 0) return { evaluate: (request) => evaluate(whole, request) }
  // Whether anything else stands in the way is asked of the same policies without those that want a human's word.
  const others = new Map([...policies].filter(([id]) => !stepUps.has(id)))
  const waived = new PolicySlices({ ...set, policies: others }, `${hash} without step-ups`, groups)
  return {
    evaluate(request) {
      const answer = evaluate(whole, request)
      if (answer.outcome !== 'deny' || !answer.policies.some((id) => stepUps.has(id))) return answer
      const { outcome } = evaluate(waived, request)
      return outcome === 'allow' ? { outcome: 'step_up', policies: answer.policies } : answer
    },
  }
}

function evaluate(slices: PolicySlices, request: PolicyRequest): PolicyAnswer {
  const { principal, action, resource } = request
  const called = typeof action === 'string' ? { type: 'Action', id: action } : action
  return judge(askCedar(slices.of(principal, called, resource), request))
}

/** Which policies want a human's word, `@step_up("…")`. Only a forbid can: a permit that a human must add to would permit without. */
function stepUpsOf(policies: Iterable<Policy>): ReadonlySet<string> {
  const stepUps = new Set<string>()
  for (const policy of policies) {
    const { id, file, json } = policy
    if (!isStepUp(policy)) continue
    if (json.effect !== 'forbid') throw invalid(file, `${id}: @step_up belongs to a forbid`)
    stepUps.add(id)
  }
  return stepUps
}

export const isStepUp = ({ json }: Policy): boolean => Object.hasOwn(json.annotations ?? {}, 'step_up')
