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
  const staticPolicies = readPolicies(files)
  const validated = validate({ schema, policies: { staticPolicies } })
  // The answer says `success` even with validation errors inside.
  if (validated.type === 'failure') throw invalid(schemaFile, validated.errors[0]?.message)
  const [problem] = validated.validationErrors
  if (problem) throw invalid(problem.policyId, problem.error.message)
  // The wasm keeps what was parsed by name, for ever: by the set's own hash, no engine ever answers with another's policies.
  const name = policySetOf(files).hash
  requireParsed(schemaFile, preparseSchema(name, schema))
  requireParsed('the policies', preparsePolicySet(name, { staticPolicies }))
  return { evaluate: (request) => evaluate(name, request) }
}

function evaluate(name: string, { principal, action, resource, context }: PolicyRequest): PolicyAnswer {
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
      preparsedPolicySetId: name,
      preparsedSchemaName: name,
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

/** Policies by id: `@id("…")`, else `<file name>#<n>`, counting over all policies of the file. */
function readPolicies(files: PolicyFiles): Record<string, string> {
  const policies: Record<string, string> = {}
  for (const [file, bytes] of files) {
    if (!file.endsWith('.cedar')) continue
    const parts = policySetTextToParts(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    if (parts.type === 'failure') throw invalid(file, parts.errors[0]?.message)
    if (parts.policy_templates.length > 0) throw invalid(file, 'a template')
    for (const [n, text] of parts.policies.entries()) {
      const id = idOf(text) ?? `${file}#${n}`
      if (Object.hasOwn(policies, id)) throw invalid(file, `a second policy with the id ${id}`)
      policies[id] = text
    }
  }
  return policies
}

function idOf(policy: string): string | undefined {
  const json = policyToJson(policy)
  if (json.type === 'failure') return undefined
  const { id } = (json.json.annotations ?? {}) as Record<string, string | undefined>
  return id
}

function requireParsed(what: string, answer: CheckParseAnswer): void {
  if (answer.type === 'failure') throw invalid(what, answer.errors[0]?.message)
}

function invalid(where: string, why = 'not valid'): ServiceError {
  return new ServiceError('config_invalid', `policies: ${where}: ${why.slice(0, 300)}`)
}
