import { isDeepStrictEqual } from 'node:util'
import { errorCode, ServiceError } from '@bailiwick/errors'
import { type PolicyFiles, readPolicyFiles } from '@bailiwick/installation'
import { isAuthorizedPartial } from './cedar.ts'
import { isStepUp } from './cedar-engine.ts'
import { CompiledPolicies } from './compiled/compiled-policies.ts'
import { type EntityName, isAction } from './entity-name.ts'
import { type EntityStore, entityStore, namesIn } from './entity-store.ts'
import { canBeAskedPartly } from './nesting.ts'
import {
  type Finding,
  type Policy,
  type PolicySet,
  parsePolicySet,
  schemaFile,
  validatePolicySet,
} from './policy-set.ts'
import { hasPermit, type PermitsNothing, permitsNothingMessage } from './require-permit.ts'
import { type Shapes, shapesOf } from './schema-shapes.ts'
import { shadowOf } from './shadowing.ts'
import { unscoped } from './unscoped.ts'

/** A problem in a policy directory. An `error` denies, or prevents the set from loading; a `warning` has no effect. */
export interface PolicyFinding {
  level: 'error' | 'warning'
  file: string
  /** Absent: the finding is about the file. */
  policyId?: string
  message: string
}

/** Everything that can be found in a policy directory without a request. Throws `config_invalid` if there is no such directory. */
export function checkPolicies(directory: string, meant: PermitsNothing = {}): PolicyFinding[] {
  return checkPolicyFiles(readPolicyFiles(directory), meant)
}

/** As `checkPolicies`, of files that were read. */
export function checkPolicyFiles(files: PolicyFiles, { permitsNothing = false }: PermitsNothing = {}): PolicyFinding[] {
  const broken = unparsable(files)
  if (broken.length > 0) return broken
  const set = parsePolicySet(files)
  const found = validity(set)
  const told = new Set(found.map(({ policyId }) => policyId))
  const others = Array.from(set.policies.values()).filter(({ id }) => !told.has(id))
  const store = entityStore(set.entities, [], set.schema === undefined)
  const shapes = set.schema === undefined ? undefined : shapesOf(set.schema)
  // A set with a schema may be for decisions over tasks, in which stored entities play no part.
  const above = (name: EntityName) => (shapes ? (isAction(name) ? shapes.groups(name) : []) : store.ancestors(name))
  const shadowing = (policy: Policy) => shadowOf(policy, set.policies.values(), above)
  const findings = [
    ...found,
    ...others.flatMap((policy) => findingsOf(policy, set, store, shadowing)),
    ...notCompiled(set, store, shapes),
  ]
  const unreachable = new Set(
    findings.filter(({ message }) => message.startsWith('unreachable')).map(({ policyId }) => policyId),
  )
  const reachable = Array.from(set.policies.values()).filter(({ id }) => !unreachable.has(id))
  if (permitsNothing || hasPermit(reachable)) return findings
  return [{ level: 'error', file: 'the set', message: permitsNothingMessage }, ...findings]
}

/** Checks each file alone, with the schema, so that one that does not parse hides no other; then all of them together. */
function unparsable(files: PolicyFiles): PolicyFinding[] {
  const schema = [...files].filter(([name]) => name === schemaFile)
  const alone = [...files].flatMap(([name, bytes]) => faultsOf(name, new Map([...schema, [name, bytes]])))
  return alone.length > 0 ? distinct(alone) : faultsOf('', files)
}

function faultsOf(name: string, files: PolicyFiles): PolicyFinding[] {
  try {
    parsePolicySet(files)
    return []
  } catch (error) {
    if (!(error instanceof ServiceError) || errorCode(error) !== 'config_invalid') throw error
    const [, file = name, message = ''] = /^policies: (.+?): (.*)$/s.exec(error.detail ?? '') ?? []
    return [{ level: 'error', file, message }]
  }
}

const distinct = (findings: PolicyFinding[]) => [
  ...new Map(findings.map((finding) => [JSON.stringify(finding), finding])).values(),
]

function validity(set: PolicySet): PolicyFinding[] {
  if (set.schema === undefined)
    return [{ level: 'warning', file: schemaFile, message: 'there is none, so nothing could be validated' }]
  const { errors, warnings } = validatePolicySet(set)
  const finding =
    (level: PolicyFinding['level']) =>
    ({ policyId, message }: { policyId: string; message: string }): PolicyFinding => ({
      level,
      file: set.policies.get(policyId)?.file ?? schemaFile,
      policyId,
      message: message.replace(`for policy \`${policyId}\`, `, '').replace(/^policy is impossible/, 'unreachable'),
    })
  return [...oncePerAction(errors).map(finding('error')), ...oncePerAction(warnings).map(finding('warning'))]
}

/** Cedar validates a policy against each action that it applies to. One mistake becomes one finding, which names the actions. */
function oncePerAction(findings: readonly Finding[]): Finding[] {
  const actionIn = (message: string) => / for ((?:\w+::)*Action::"(?:[^"\\]|\\.)*")/.exec(message)?.[1] ?? ''
  const without = ({ policyId, message }: Finding) =>
    JSON.stringify([policyId, message.replace(` for ${actionIn(message)}`, '')])
  return [...Map.groupBy(findings, without).values()].flatMap((same) => {
    const actions = [...new Set(same.map(({ message }) => actionIn(message)))]
    const [first] = same
    if (first === undefined) return []
    const [action = ''] = actions
    const named = actions.length === 1 ? action : `${actions.length} actions (${actions.join(', ')})`
    return [{ ...first, message: first.message.replace(action, named) }]
  })
}

/** Cedar decides about these: the answer is the same, and costs more. */
function notCompiled(set: PolicySet, { all: stored }: EntityStore, shapes: Shapes | undefined): PolicyFinding[] {
  const compiled = new CompiledPolicies(set.policies.values(), { shapes, stored })
  const slower = (message: string): string => `not compiled, so decisions take longer: ${message}`
  const policies = Array.from(compiled.notCompiled, ([policyId, why]): PolicyFinding => {
    const file = set.policies.get(policyId)?.file ?? 'the set'
    return { level: 'warning', file, policyId, message: slower(why) }
  })
  if (compiled.readsStored) return policies
  const message = slower('an entity that Cedar may read in another way, or that stands there twice')
  return [...policies, { level: 'warning', file: 'entities.json', message }]
}

function findingsOf(
  policy: Policy,
  set: PolicySet,
  store: EntityStore,
  shadowing: (policy: Policy) => Policy | undefined,
): PolicyFinding[] {
  const where = { file: policy.file, policyId: policy.id }
  if (isStepUp(policy) && policy.json.effect === 'permit')
    return [
      {
        level: 'error',
        ...where,
        message: '@step_up belongs to a forbid: what a human must add to would permit without',
      },
    ]
  const always = whateverIsAsked(policy, set, store)
  if (always === 'errs')
    return [{ level: 'error', ...where, message: 'always errors, and so denies every request that it applies to' }]
  if (always === 'never')
    return [{ level: 'warning', ...where, message: 'unreachable: its conditions are false for every request' }]
  const shadow = shadowing(policy)
  if (!shadow) return []
  // Its additional conditions may err, which denies: then removing the policy changes the answer.
  const unless = isDeepStrictEqual(shadow.json.conditions, policy.json.conditions) ? '' : ', unless it errs'
  const so =
    shadow.json.effect === policy.json.effect ? `nothing changes without it${unless}` : 'it never permits anything'
  return [
    {
      level: 'warning',
      ...where,
      message: `shadowed by ${shadow.id} (${shadow.file}), which always applies too: ${so}`,
    },
  ]
}

/** The result of Cedar's partial evaluation of the conditions with the whole request unknown: they then see only what they name. */
function whateverIsAsked(policy: Policy, { schema }: PolicySet, store: EntityStore): 'errs' | 'never' | 'depends' {
  if (!canBeAskedPartly(policy.json)) return 'depends'
  const answer = isAuthorizedPartial({
    principal: null,
    action: null,
    resource: null,
    context: {},
    entities: [...store.reachable(namesIn(policy.json.conditions)).values()],
    policies: { staticPolicies: { policy: unscoped(policy) } },
    ...(schema === undefined ? {} : { schema, validateRequest: false }),
  })
  if (answer.type === 'failure') return 'depends'
  const { errored, satisfied, nontrivialResiduals } = answer.response
  if (errored.length > 0) return 'errs'
  return satisfied.length + nontrivialResiduals.length === 0 ? 'never' : 'depends'
}
