import { ServiceError } from '@bailiwick/errors'
import { type PolicyFiles, policySetOf } from '@bailiwick/installation'
import {
  type CheckParseAnswer,
  type EntityJson,
  policySetTextToParts,
  policyToJson,
  preparsePolicySet,
  preparseSchema,
  statefulIsAuthorized,
  validate,
} from '@cedar-policy/cedar-wasm/nodejs'
import type { PolicyAnswer, PolicyEngine, PolicyRequest } from '../policy-engine.ts'

const schemaFile = 'schema.cedarschema'

/**
 * Loads a policy set into Cedar. Throws `config_invalid`, naming the file, for anything that does not parse or validate, a
 * template, a duplicate id or a missing schema: a set that cannot be read is not a set that allows.
 */
export function cedarEngine(files: PolicyFiles): PolicyEngine {
  const schemaBytes = files.get(schemaFile)
  if (!schemaBytes) throw invalid(schemaFile, 'missing')
  const schema = new TextDecoder('utf-8', { fatal: true }).decode(schemaBytes)
  const { staticPolicies, stepUps } = readPolicies(files)
  const validated = validate({ schema, policies: { staticPolicies } })
  // The answer says `success` even with validation errors inside.
  if (validated.type === 'failure') throw invalid(schemaFile, validated.errors[0]?.message)
  const [problem] = validated.validationErrors
  if (problem) throw invalid(problem.policyId, problem.error.message)
  // The wasm keeps what was parsed by name, for ever: by the set's own hash, no engine ever answers with another's policies.
  const name = policySetOf(files).hash
  requireParsed(schemaFile, preparseSchema(name, schema))
  requireParsed('the policies', preparsePolicySet(name, { staticPolicies }))
  if (stepUps.size === 0) return { evaluate: (request) => evaluate(name, name, request) }
  // Whether anything else stands in the way is asked of the same policies without those that want a human's word.
  const others = Object.fromEntries(Object.entries(staticPolicies).filter(([id]) => !stepUps.has(id)))
  const waived = `${name} without step-ups`
  requireParsed('the policies', preparsePolicySet(waived, { staticPolicies: others }))
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

/**
 * Policies by id: `@id("…")`, else `<file name>#<n>`, counting over all policies of the file; and which of them want a human's
 * word, `@step_up("…")`. Only a forbid can: a permit that a human must add to would permit without.
 */
function readPolicies(files: PolicyFiles): { staticPolicies: Record<string, string>; stepUps: ReadonlySet<string> } {
  const policies: Record<string, string> = {}
  const stepUps = new Set<string>()
  for (const [file, bytes] of files) {
    if (!file.endsWith('.cedar')) continue
    const parts = policySetTextToParts(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    if (parts.type === 'failure') throw invalid(file, parts.errors[0]?.message)
    if (parts.policy_templates.length > 0) throw invalid(file, 'a template')
    for (const [n, text] of parts.policies.entries()) {
      const { id = `${file}#${n}`, step_up: stepUp, effect } = aboutPolicy(text)
      if (Object.hasOwn(policies, id)) throw invalid(file, `a second policy with the id ${id}`)
      if (stepUp !== undefined && effect !== 'forbid') throw invalid(file, `${id}: @step_up belongs to a forbid`)
      if (stepUp !== undefined) stepUps.add(id)
      policies[id] = text
    }
  }
  return { staticPolicies: policies, stepUps }
}

function aboutPolicy(policy: string): { id?: string; step_up?: string | null; effect?: string } {
  const json = policyToJson(policy)
  if (json.type === 'failure') return {}
  return { ...(json.json.annotations as object | undefined), effect: json.json.effect }
}

function requireParsed(what: string, answer: CheckParseAnswer): void {
  if (answer.type === 'failure') throw invalid(what, answer.errors[0]?.message)
}

function invalid(where: string, why = 'not valid'): ServiceError {
  return new ServiceError('config_invalid', `policies: ${where}: ${why.slice(0, 300)}`)
}
