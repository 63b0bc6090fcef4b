import type { PolicyFiles } from '@bailiwick/installation'
import { CedarPolicies } from './cedar-policies.ts'
import { invalid } from './invalid-policies.ts'
import type { PolicyEngine } from './policy-engine.ts'
import { contextReads } from './policy-reads.ts'
import { loadPolicySet, type Policy } from './policy-set.ts'
import { shapesOf } from './schema-shapes.ts'

/** Engines that this process loaded. The wasm keeps what was parsed by name: none ever answers with another's policies. */
let loaded = 0

/**
 * Loads a policy set into Cedar. Throws `config_invalid`, naming the file, for anything that does not parse or validate, a
 * template, a duplicate id or a missing schema: a set that cannot be read is not a set that allows.
 */
export function cedarEngine(files: PolicyFiles): PolicyEngine {
  const set = loadPolicySet(files)
  if (set.schema === undefined) throw invalid('schema.cedarschema', 'missing')
  const { hash, policies } = set
  const name = `${hash} ${++loaded}`
  const shapes = shapesOf(set.schema)
  const options = { shapes, groupsOf: shapes.groups, reads: contextReads(policies.values()) }
  const whole = new CedarPolicies(set, name, options)
  whole.preheat()
  const context: PolicyEngine['context'] = (action) => whole.context({ type: 'Action', id: action })
  const stepUps = stepUpsOf(policies.values())
  if (stepUps.size === 0) return { context, evaluate: (request) => whole.evaluate(request) }
  // Whether anything else stands in the way is asked of the same policies without those that want a human's word.
  const others = new Map([...policies].filter(([id]) => !stepUps.has(id)))
  const waived = new CedarPolicies({ ...set, policies: others }, `${name} without step-ups`, options)
  return {
    context,
    evaluate(request) {
      const answer = whole.evaluate(request)
      if (answer.outcome !== 'deny' || !answer.policies.some((id) => stepUps.has(id))) return answer
      const without = waived.evaluate(request)
      if (without.outcome !== 'allow') return answer
      return { outcome: 'step_up', policies: answer.policies, permits: without.policies }
    },
  }
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
