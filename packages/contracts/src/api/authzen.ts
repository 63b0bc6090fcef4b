import { z } from 'zod'
import type { Routes } from './route.ts'

/*
 * Requests of AuthZEN Authorization API 1.0. Unknown members are ignored (§10.1.1), and strings are taken verbatim.
 */

const objectSchema = z.record(z.string(), z.unknown())
const properties = z.exactOptional(objectSchema)
const entitySchema = z.object({ type: z.string(), id: z.string(), properties })
const typeSchema = z.object({ type: z.string(), properties })
const actionSchema = z.object({ name: z.string(), properties })
const context = z.exactOptional(objectSchema)

/** §6.1 */
export const evaluationSchema = z.object({
  subject: entitySchema,
  action: actionSchema,
  resource: entitySchema,
  context,
})

const semanticSchema = z.enum(['execute_all', 'deny_on_first_deny', 'permit_on_first_permit'])
/** §7.1.2.1 */
export type EvaluationsSemantic = z.infer<typeof semanticSchema>

/** The defaults of a boxcar. */
export const evaluationDefaultsSchema = z.object({
  subject: z.exactOptional(entitySchema.partial()),
  action: z.exactOptional(actionSchema.partial()),
  resource: z.exactOptional(entitySchema.partial()),
  context,
})
/** §7.1. An item that is malformed fails alone, so it is not judged here. */
export const evaluationsSchema = evaluationDefaultsSchema.extend({
  evaluations: z.array(z.unknown()).optional(),
  options: z.object({ evaluations_semantic: semanticSchema.default('execute_all') }).optional(),
})

const pageRequestSchema = z.object({
  token: z.string().optional(),
  limit: z.int().min(0).optional(),
  properties,
})
/** §8.2.1 */
export type PageRequest = z.infer<typeof pageRequestSchema>
const page = pageRequestSchema.optional()

/** §8.4 to §8.6 */
export const searchSchemas = {
  subject: z.object({ subject: typeSchema, action: actionSchema, resource: entitySchema, context, page }),
  resource: z.object({ subject: entitySchema, action: actionSchema, resource: typeSchema, context, page }),
  action: z.object({ subject: entitySchema, resource: entitySchema, context, page }),
}

/** §5.5 */
export const decisionAnswerSchema = z.object({ decision: z.boolean(), context: z.exactOptional(objectSchema) })
const pageAnswer = z.object({ next_token: z.string(), count: z.int().min(0), total: z.int().min(0) })
const foundEntity = z.strictObject({ type: z.string(), id: z.string() })
const found = (result: z.ZodType) =>
  z.object({ page: z.exactOptional(pageAnswer), context: z.exactOptional(objectSchema), results: z.array(result) })

/** The AuthZEN endpoints, at their default paths (§10.1). */
export const authZenOperations = {
  evaluation: {
    method: 'POST',
    path: '/access/v1/evaluation',
    summary: 'One decision (§6)',
    on: 'http',
    body: evaluationSchema,
    answer: decisionAnswerSchema,
  },
  evaluations: {
    method: 'POST',
    path: '/access/v1/evaluations',
    summary: 'Several decisions, in their order; without evaluations, one (§7)',
    on: 'http',
    // Items as they should be, although an invalid item fails alone.
    body: evaluationsSchema.extend({ evaluations: z.array(evaluationSchema.partial()).optional() }),
    answer: z.union([z.object({ evaluations: z.array(decisionAnswerSchema) }), decisionAnswerSchema]),
  },
  subject: {
    method: 'POST',
    path: '/access/v1/search/subject',
    summary: 'Subjects that would be permitted (§8.4)',
    on: 'http',
    body: searchSchemas.subject,
    answer: found(foundEntity),
  },
  resource: {
    method: 'POST',
    path: '/access/v1/search/resource',
    summary: 'Resources that would be permitted (§8.5)',
    on: 'http',
    body: searchSchemas.resource,
    answer: found(foundEntity),
  },
  action: {
    method: 'POST',
    path: '/access/v1/search/action',
    summary: 'Actions that would be permitted (§8.6)',
    on: 'http',
    body: searchSchemas.action,
    answer: found(z.strictObject({ name: z.string() })),
  },
} as const satisfies Routes

/** The OpenAPI document of the endpoints above, as the server has them. */
export const authZenDescription = {
  describeAuthZen: {
    method: 'GET',
    path: '/access/v1/openapi.json',
    summary: 'OpenAPI of the AuthZEN endpoints of this server',
    on: 'http',
    answer: z.looseObject({
      openapi: z.string(),
      info: z.looseObject({ title: z.string(), version: z.string() }),
      paths: z.record(z.string(), z.unknown()),
    }),
  },
} as const satisfies Routes

/** AuthZEN metadata (1.0 §9; obligations profile, "PDP Metadata Extension"). */
export const authZenMetadataSchema = z.object({
  policy_decision_point: z.string(),
  access_evaluation_endpoint: z.string(),
  access_evaluations_endpoint: z.string(),
  search_subject_endpoint: z.string(),
  search_resource_endpoint: z.string(),
  search_action_endpoint: z.string(),
  supported_obligations: z.array(z.string()),
  bailiwick_obligations: z.array(z.string()),
})
