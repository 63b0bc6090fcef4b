import type { PolicyFiles } from '@bailiwick/installation'
import { decisiveOf } from './cedar-explanation.ts'
import { CedarPolicies, type Options } from './cedar-policies.ts'
import type { EngineWatch } from './compiled/engine-watch.ts'
import { invalid } from './invalid-policies.ts'
import type { PolicyAnswer, PolicyEngine } from './policy-engine.ts'
import { contextReads } from './policy-reads.ts'
import { loadPolicySet, type Policy, type PolicySet } from './policy-set.ts'
import { shapesOf } from './schema-shapes.ts'

/**
 * The number of engines that this process loaded. The wasm keeps parsed sets by name, so no engine ever answers with another's policies.
 */
let loaded = 0

/**
 * Loads a policy set, as `LoadPolicies` does. Also throws for a template, a duplicate id or a missing schema. With `watch`, compiled
 * policies answer what they can, and Cedar the rest.
 */
export function cedarEngine(files: PolicyFiles, watch?: EngineWatch): PolicyEngine {
  const set = loadPolicySet(files)
  if (set.schema === undefined) throw invalid('schema.cedarschema', 'missing')
  requireForbids(set)
  const shapes = shapesOf(set.schema)
  const reads = contextReads(set.policies.values())
  return engineOf(set, `${set.hash} ${++loaded}`, { shapes, groupsOf: shapes.groups, reads, eager: true, watch })
}

/** The engine of a loaded set. `name`, and every name that begins with it, belongs to the engine while it answers. */
export function engineOf(set: PolicySet, name: string, options: Options): PolicyEngine {
  const whole = new CedarPolicies(set, name, options)
  if (options.eager === true) whole.preheat()
  // To learn whether anything else stands in the way, asks the same policies without those that require human approval.
  const others = new Map([...set.policies].filter(([, policy]) => !isStepUp(policy)))
  const waived =
    others.size === set.policies.size
      ? undefined
      : new CedarPolicies({ ...set, policies: others }, `${name} without step-ups`, options)

  const evaluate: PolicyEngine['evaluate'] = (request, purpose) => {
    const answer = whole.evaluate(request, purpose)
    if (waived === undefined || answer.outcome !== 'deny' || answer.policies.every((id) => others.has(id)))
      return answer
    const without = waived.evaluate(request, purpose)
    if (without.outcome !== 'allow') return answer
    return { outcome: 'step_up', policies: answer.policies, permits: without.policies }
  }
  return {
    context: (action) => whole.context({ type: 'Action', id: action }),
    evaluate,
    explain(request) {
      const answer: { outcome: PolicyAnswer['outcome']; policies?: string[] } = evaluate(request, 'search')
      const { outcome, policies = [] } = answer
      const said = whole.say(request)
      const messages = said.ok ? said.errors.map(({ message }) => message) : [said.error]
      const wouldChange = outcome === 'invalid' ? [] : decisiveOf(set, request, outcome === 'allow')
      return { outcome, policies: [...policies], messages, wouldChange }
    },
  }
}

/**
 * The policies that require human approval: `@step_up("…")`. Only a forbid can: a permit that also needs a human would permit without one.
 */
function requireForbids({ policies }: PolicySet): void {
  for (const policy of policies.values())
    if (isStepUp(policy) && policy.json.effect !== 'forbid')
      throw invalid(policy.file, `${policy.id}: @step_up belongs to a forbid`)
}

export const isStepUp = ({ json }: Policy): boolean => Object.hasOwn(json.annotations ?? {}, 'step_up')
