import { type PolicyFiles, policySetOf, readPolicyFiles } from '@bailiwick/installation'
import type { EntityJson, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import { type Mapping, mappingFile, readMapping } from './authzen-mapping.ts'
import { checkParseEntities, checkParseSchema, policySetTextToParts, policyToJson, validate } from './cedar.ts'
import { parseExactJson } from './exact-json.ts'
import { invalid, invalidText, requireParsed } from './invalid-policies.ts'
import { canBeAsked, mostLevels } from './nesting.ts'
import { type Obliges, obligesOf, requireRoom } from './policy-obligations.ts'
import { requireSmallTypes } from './schema-size.ts'

export const schemaFile = 'schema.cedarschema'
const entitiesFile = 'entities.json'

/** One static policy of a set. */
export interface Policy {
  /** `@id("…")`, otherwise `<file name>#<n>`, counting from 0 over all policies of the file. */
  id: string
  file: string
  text: string
  /** Cedar's own JSON form: effect, scope, conditions, annotations. */
  json: PolicyJson
  /** Its obligations for enforcement points, if it has any. */
  obliges?: Obliges | undefined
}

/** A policy set that parses. `validatePolicySet` decides whether it also validates. */
export interface PolicySet {
  /** The hash of exactly these files. */
  hash: string
  /** Cedar's schema text. If the set has no schema, nothing is validated. */
  schema: string | undefined
  policies: ReadonlyMap<string, Policy>
  /** `entities.json`, in Cedar's JSON form; they match the schema. */
  entities: readonly EntityJson[]
  /** `authzen.yaml`. */
  mapping: Mapping
}

/**
 * Reads a policy directory, top level only: `schema.cedarschema` (optional), `*.cedar` in name order, `entities.json` (optional),
 * `authzen.yaml` (optional). Throws `config_invalid`, with the file and the reason, if there is no such directory, and in the same cases as
 * `loadPolicySet`.
 */
export function readPolicyDirectory(directory: string): PolicySet {
  return loadPolicySet(readPolicyFiles(directory))
}

/** Like `parsePolicySet`, and also throws `config_invalid` for a policy that the schema does not validate. */
export function loadPolicySet(files: PolicyFiles): PolicySet {
  const set = parsePolicySet(files)
  const [problem] = validatePolicySet(set).errors
  if (problem) throw invalid(whereIs(set, problem.policyId), problem.message)
  return set
}

/**
 * Parses the files of a set. Throws `config_invalid`, with the file and the reason, for anything that does not parse, a template, a
 * duplicate id, an obligation that cannot be fulfilled, and entities that do not match the schema: a set that cannot be read does not allow
 * anything.
 */
export function parsePolicySet(files: PolicyFiles): PolicySet {
  const schema = textOf(files, schemaFile)
  if (schema !== undefined) {
    // First, because Cedar already writes types out to parse them.
    inWords(schemaFile, () => requireSmallTypes(schema))
    const parsed = inWords(schemaFile, () => checkParseSchema(schema))
    if (parsed.type === 'failure') throw invalidText(schemaFile, schema, parsed.errors)
  }
  const policies = new Map<string, Policy>()
  for (const file of files.keys()) {
    if (!file.endsWith('.cedar')) continue
    for (const policy of policiesOf(file, textOf(files, file) ?? '')) {
      const first = policies.get(policy.id)
      if (first) throw invalid(file, `a second policy with the id ${policy.id}; the first is in ${first.file}`)
      policies.set(policy.id, policy)
    }
  }
  inWords('the set', () => requireRoom(Array.from(policies.values()).flatMap(({ obliges }) => obliges ?? [])))
  const mapping = readMapping(textOf(files, mappingFile), schema)
  return { hash: policySetOf(files).hash, schema, policies, entities: entitiesOf(files, schema), mapping }
}

/** A finding of Cedar's validator about a policy. */
export interface Finding {
  policyId: string
  message: string
}

/** Cedar's strict validation; without a schema there is nothing to validate against, so there are no findings. */
export function validatePolicySet({ schema, policies }: PolicySet): { errors: Finding[]; warnings: Finding[] } {
  if (schema === undefined) return { errors: [], warnings: [] }
  const staticPolicies = textsOf(policies.values())
  const answer = inWords('the set', () => validate({ schema, policies: { staticPolicies } }))
  if (answer.type === 'failure') throw invalid(schemaFile, answer.errors[0]?.message)
  // The answer says `success` even with validation errors inside.
  const { validationErrors, validationWarnings } = answer
  return { errors: findingsOf(validationErrors), warnings: findingsOf(validationWarnings) }
}

/** Sorted by policy id, then by message. */
export function findingsOf(found: readonly { policyId: string; error: { message: string } }[]): Finding[] {
  const findings = found.map(({ policyId, error }) => ({ policyId, message: error.message }))
  const place = ({ policyId, message }: Finding) => `${policyId}\n${message}`
  return findings.sort((a, b) => (place(a) < place(b) ? -1 : 1))
}

/** Policies by id, in Cedar's form. Built from entries, because an id may be `__proto__`, and that policy's `forbid` must not be lost. */
export function textsOf(policies: Iterable<Policy>): Record<string, string> {
  return Object.fromEntries(Array.from(policies, ({ id, text }) => [id, text]))
}

function policiesOf(file: string, text: string): Policy[] {
  const parts = inWords(file, () => policySetTextToParts(text))
  if (parts.type === 'failure') throw invalidText(file, text, parts.errors)
  if (parts.policy_templates.length > 0) throw invalid(file, 'a template: only static policies are taken')
  return inSourceOrder(parts.policies).map((policy, n) => {
    const parsed = inWords(file, () => policyToJson(policy))
    if (parsed.type === 'failure') throw invalid(file, parsed.errors[0]?.message)
    const named: unknown = parsed.json.annotations?.id
    const id = typeof named === 'string' ? named : `${file}#${n}`
    if (!canBeAsked(parsed.json))
      throw invalid(
        file,
        `${id}: nested more than ${mostLevels} deep, as by so many \`||\`: a set that contains() is not`,
      )
    const obliges = inWords(file, () => obligesOf(parsed.json), id)
    return { id, file, text: policy, json: parsed.json, ...(obliges === undefined ? {} : { obliges }) }
  })
}

/** Turns an error into `config_invalid` with its location. */
function inWords<T>(file: string, read: () => T, id?: string): T {
  try {
    return read()
  } catch (error) {
    const why = error instanceof Error ? error.message : undefined
    throw invalid(file, id === undefined ? why : `${id}: ${why}`)
  }
}

/** Cedar numbers policies by their position in the text, and returns them sorted by that name: `policy10` before `policy2`. */
function inSourceOrder(sorted: readonly string[]): string[] {
  const places = sorted.map((_, n) => ({ n, name: `policy${n}` })).sort((a, b) => (a.name < b.name ? -1 : 1))
  const policies: string[] = []
  for (const [k, { n }] of places.entries()) policies[n] = sorted[k] as string
  return policies
}

function entitiesOf(files: PolicyFiles, schema: string | undefined): EntityJson[] {
  const text = textOf(files, entitiesFile)
  if (text === undefined) return []
  const entities = parseExactJson(text)
  if (!Array.isArray(entities)) throw invalid(entitiesFile, 'not a JSON array of entities with each key once')
  const parsed = inWords(entitiesFile, () => checkParseEntities({ entities, schema: schema ?? null }))
  requireParsed(entitiesFile, parsed)
  return entities
}

function textOf(files: PolicyFiles, file: string): string | undefined {
  const bytes = files.get(file)
  if (bytes === undefined) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw invalid(file, 'not UTF-8')
  }
}

function whereIs({ policies }: PolicySet, id: string): string {
  return `${policies.get(id)?.file ?? schemaFile}: policy ${id}`
}
