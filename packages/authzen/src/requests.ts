import {
  type EvaluationsSemantic,
  type evaluationDefaultsSchema,
  evaluationSchema,
  evaluationsSchema,
  type PageRequest,
  searchSchemas,
} from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import { serviceErrorOf } from '@bailiwick/host'
import { z } from 'zod'
import type { AuthZenEvaluation, AuthZenSearch } from './decider.ts'

/*
 * Requests of AuthZEN Authorization API 1.0, read strictly. A member of a wrong type or a missing required member is an error, unknown
 * members are ignored (§10.1.1), and strings are taken verbatim. The body was already read as strict JSON: no equal keys, bounded depth.
 */

const objectSchema = z.record(z.string(), z.unknown())
const required = { subject: ['type', 'id'], action: ['name'], resource: ['type', 'id'] } as const

/** `POST /access/v1/evaluation` (§6.1). Throws `request_malformed`. */
export function readEvaluation(body: unknown): AuthZenEvaluation {
  return read(evaluationSchema, body)
}

export type EvaluationsRequest =
  /** Without an array, or with an empty one, the request is a single evaluation. */
  | { single: AuthZenEvaluation }
  | {
      semantic: EvaluationsSemantic
      /** In the order of the request. An item that cannot be read is replaced by its error. */
      items: readonly (AuthZenEvaluation | ServiceError)[]
    }

export interface BoxcarLimits {
  items: number
  /** Bytes of all items with their defaults written out: a large default with many items makes a large request. */
  bytes: number
}

/**
 * `POST /access/v1/evaluations` (§7.1). An item's own key replaces the whole default of that name. An error of the request, including a
 * default of a wrong type, throws `request_malformed`. An error of an item fails only that item.
 */
export function readEvaluations(body: unknown, limits: BoxcarLimits): EvaluationsRequest {
  const { evaluations = [], options, ...defaults } = parse(evaluationsSchema, body)
  const { evaluations: _, ...around } = body as Record<string, unknown>
  refuseCedarEscapes(around)
  if (evaluations.length === 0) return { single: parse(evaluationSchema, defaults) }
  if (evaluations.length > limits.items)
    throw new ServiceError('request_malformed', `evaluations: at most ${limits.items} are decided together`)
  if (evaluations.length * sizeOf(defaults) > limits.bytes)
    throw new ServiceError('body_too_large', 'the defaults are too large for so many evaluations')
  const items = evaluations.map((item) => readItem(item, defaults))
  return { semantic: options?.evaluations_semantic ?? 'execute_all', items }
}

type Defaults = z.infer<typeof evaluationDefaultsSchema>

function readItem(item: unknown, defaults: Defaults): AuthZenEvaluation | ServiceError {
  const own = objectSchema.safeParse(item)
  if (!own.success) return malformed(own.error)
  const whole: Record<string, unknown> = { ...defaults, ...own.data }
  for (const name of ['subject', 'action', 'resource'] as const) {
    if (whole[name] === undefined) return new ServiceError('request_malformed', `${name}: missing`)
    whole[name] = completed(whole[name], defaults[name], required[name])
  }
  try {
    refuseCedarEscapes(item)
    return parse(evaluationSchema, whole)
  } catch (error) {
    return serviceErrorOf(error)
  }
}

/**
 * A default that lacks a required member names no entity. Such a default only completes the required members of the item's own value, as
 * in the certification scenario (3.2.7). A complete default is replaced as a whole.
 */
function completed(own: unknown, part: object | undefined, names: readonly string[]): unknown {
  if (part === undefined || names.every((name) => name in part) || !objectSchema.safeParse(own).success) return own
  const missing = Object.entries(part).filter(([name]) => names.includes(name))
  return { ...Object.fromEntries(missing), ...(own as object) }
}

const sizeOf = (value: unknown) =>
  JSON.stringify(value, (_, member) => (typeof member === 'bigint' ? String(member) : member)).length

/** `POST /access/v1/search/…` (§8.4 to §8.6). Throws `request_malformed`. */
export function readSearch(
  entity: AuthZenSearch['entity'],
  body: unknown,
): { search: AuthZenSearch; page: PageRequest | undefined } {
  const { page, ...search } = read(searchSchemas[entity], body)
  return { search: { entity, ...search } as AuthZenSearch, page }
}

function read<T extends z.ZodType>(schema: T, body: unknown): z.infer<T> {
  const value = parse(schema, body)
  refuseCedarEscapes(body)
  return value
}

function parse<T extends z.ZodType>(schema: T, value: unknown): z.infer<T> {
  const parsed = schema.safeParse(value)
  if (!parsed.success) throw malformed(parsed.error)
  return parsed.data
}

function malformed(error: z.ZodError): ServiceError {
  const issue = error.issues[0]
  return new ServiceError('request_malformed', `${issue?.path.join('.') || 'it'}: ${issue?.code}`)
}

/** Cedar reads these keys as references and extension values. In a request they are an attack, even in parts that are never read. */
function refuseCedarEscapes(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  for (const [key, member] of Object.entries(value)) {
    if (key === '__entity' || key === '__extn' || key === '__expr')
      throw new ServiceError('request_malformed', `a member named ${key}`)
    refuseCedarEscapes(member)
  }
}
