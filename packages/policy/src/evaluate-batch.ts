import { ServiceError } from '@bailiwick/errors'
import { readPolicyFiles } from '@bailiwick/installation'
import type { EntityUidJson } from '@cedar-policy/cedar-wasm/nodejs'
import { z } from 'zod'
import { askCedar, type CedarAnswer, judge } from './ask-cedar.ts'
import type { EntityName } from './entity-name.ts'
import { type EntityStore, entityStore } from './entity-store.ts'
import { parseExactJson } from './exact-json.ts'
import { firstIssue } from './first-issue.ts'
import { type Finding, type PolicySet, parsePolicySet, validatePolicySet } from './policy-set.ts'
import { type Preparsed, preparse } from './preparse.ts'

/** The answer to one line. `decision` is ours: an error in any policy denies; `cedar` is Cedar's own decision, or null. */
export interface BatchAnswer {
  /** As received. */
  id: unknown
  load: { ok: boolean; error: string | null }
  validation: { ok: boolean; errors: Finding[]; warnings: Finding[] }
  results: BatchResult[]
}

interface BatchResult {
  decision: 'allow' | 'deny'
  cedar: { decision: 'allow' | 'deny'; reason: string[]; errors: Finding[] } | null
  error: string | null
}

const nameSchema = z
  .union([
    z.object({ type: z.string(), id: z.string() }),
    z.object({ __entity: z.object({ type: z.string(), id: z.string() }) }),
  ])
  .transform((name: EntityUidJson): EntityName => ('__entity' in name ? name.__entity : name))

/** Cedar's JSON, trusted: its escapes are accepted. */
const requestSchema = z.object({
  principal: nameSchema,
  action: nameSchema,
  resource: nameSchema,
  context: z.record(z.string(), z.unknown()).default({}),
  validateRequest: z.boolean().default(true),
})

const lineSchema = z.object({ policies: z.string(), requests: z.array(z.unknown()).default([]) })

/** All lines share it in turn: Cedar keeps one set. */
const slot = 'batch'
const notValidated = { ok: false, errors: [], warnings: [] }

/** Answers one line of `bailiwick policy evaluate --batch`. Never throws: a faulty line gets its fault as its answer. */
export function evaluateBatchLine(line: Uint8Array): BatchAnswer {
  const read = readLine(line)
  const id = read.id ?? null
  const asked = lineSchema.safeParse(read.value)
  if (!asked.success) {
    const error = read.value === undefined ? 'the line is not strict JSON' : firstIssue(asked.error)
    return { id, load: { ok: false, error }, validation: notValidated, results: [] }
  }
  const { policies, requests } = asked.data
  try {
    const set = parsePolicySet(readPolicyFiles(policies))
    const found = validatePolicySet(set)
    const loaded = load(set)
    return {
      id,
      load: { ok: true, error: null },
      validation: { ok: found.errors.length === 0, ...found },
      results: requests.map((request) => evaluate(loaded, request)),
    }
  } catch (cause) {
    const error = messageOf(cause)
    const results = requests.map(() => denied('the policy set does not load'))
    return { id, load: { ok: false, error }, validation: notValidated, results }
  }
}

function readLine(line: Uint8Array): { value: unknown; id?: unknown } {
  try {
    const value = parseExactJson(new TextDecoder('utf-8', { fatal: true }).decode(line))
    return { value, ...(typeof value === 'object' && value !== null && 'id' in value ? { id: value.id } : {}) }
  } catch {
    return { value: undefined }
  }
}

interface Loaded {
  names: Preparsed
  store: EntityStore
}

function load(set: PolicySet): Loaded {
  return {
    names: preparse(set, slot),
    store: entityStore(set.entities, set.policies.values(), set.schema === undefined),
  }
}

function evaluate({ names, store }: Loaded, asked: unknown): BatchResult {
  const request = requestSchema.safeParse(asked)
  if (!request.success) return denied(firstIssue(request.error))
  const { validateRequest, ...call } = request.data
  const entities = [...store.reachable(Object.values(call)).values()]
  return resultOf(askCedar(names, { ...call, entities }, validateRequest))
}

function resultOf(answer: CedarAnswer): BatchResult {
  if (!answer.ok) return denied(answer.error)
  const { decision, reason, errors } = answer
  const ours = judge(answer).outcome === 'allow' ? 'allow' : 'deny'
  return { decision: ours, cedar: { decision, reason, errors }, error: null }
}

const denied = (error: string): BatchResult => ({ decision: 'deny', cedar: null, error })

function messageOf(cause: unknown): string {
  if (cause instanceof ServiceError) return cause.detail ?? cause.message
  return cause instanceof Error ? cause.message : String(cause)
}
