import {
  mostOutcomes,
  openCallsAnswerSchema,
  openCallsBodySchema,
  outcomeBodySchema,
  outcomeResultsSchema,
  outcomesBodySchema,
} from '@bailiwick/contracts'
import { authZenOperations, problemSchema } from '@bailiwick/contracts/api'
import { type ErrorCode, errorKinds } from '@bailiwick/errors'
import { z } from 'zod'

const errors = [
  'request_malformed',
  'caller_unauthenticated',
  'body_too_large',
  'content_type_unsupported',
  'queue_full',
  'internal',
  'deadline_exceeded',
] as const satisfies readonly ErrorCode[]

const outcomeErrors = [
  'request_malformed',
  'caller_unauthenticated',
  'decision_unknown',
  'outcome_mismatch',
  'body_too_large',
  'content_type_unsupported',
  'queue_full',
  'internal',
  'state_contended',
] as const satisfies readonly ErrorCode[]

const openCallsErrors = [
  'request_malformed',
  'caller_unauthenticated',
  'body_too_large',
  'content_type_unsupported',
  'queue_full',
  'state_stale',
] as const satisfies readonly ErrorCode[]

/**
 * OpenAPI 3.1 of the AuthZEN endpoints, from the same schemas that parse requests. `open`: callers need no credential, and report no
 * outcomes.
 */
export function authZenOpenApi(publicUrl: string, open: boolean): object {
  const problems = (codes: readonly ErrorCode[]) =>
    Object.fromEntries(
      codes.map((code) => {
        const { status, title } = errorKinds[code]
        const schema = { $ref: '#/components/schemas/Problem' }
        return [status, { description: title, content: { 'application/problem+json': { schema } } }]
      }),
    )
  const refused = problems(errors)
  const paths = Object.entries(authZenOperations).map(([operationId, { path, summary, body, answer }]) => {
    const post = {
      operationId,
      summary,
      parameters: [{ name: 'X-Request-ID', in: 'header', schema: { type: 'string' } }],
      requestBody: { required: true, content: json(body) },
      responses: { 200: { description: 'The answer: allow or deny', content: json(answer) }, ...refused },
    }
    return [path, { post }]
  })
  const outcomes = {
    operationId: 'outcomes',
    summary: `What an enforcement point signed of effects: one, or up to ${mostOutcomes}, each with its own result`,
    requestBody: { required: true, content: json(z.union([outcomeBodySchema, outcomesBodySchema])) },
    responses: {
      200: { description: 'A result for each of a list, in its order', content: json(outcomeResultsSchema) },
      204: { description: 'The one is recorded and counts' },
      ...problems(outcomeErrors),
    },
  }
  const openCalls = {
    operationId: 'openCalls',
    summary: 'Which calls of an enforcement point that go on must end: as soon as there is one, or after `wait_ms`',
    requestBody: { required: true, content: json(openCallsBodySchema) },
    responses: {
      200: {
        description: 'Those that must end, and those that are not known here',
        content: json(openCallsAnswerSchema),
      },
      ...problems(openCallsErrors),
    },
  }
  return {
    openapi: '3.1.0',
    info: { title: 'AuthZEN Authorization API 1.0', version: '1.0' },
    servers: [{ url: publicUrl }],
    security: open ? [] : [{ caller: [] }],
    paths: {
      ...Object.fromEntries(paths),
      ...(open ? {} : { '/v1/outcomes': { post: outcomes }, '/v1/open-calls': { post: openCalls } }),
    },
    components: {
      schemas: { Problem: schemaOf(problemSchema) },
      securitySchemes: { caller: { type: 'http', scheme: 'bearer' } },
    },
  }
}

const json = (schema: z.ZodType) => ({ 'application/json': { schema: schemaOf(schema) } })

function schemaOf(schema: z.ZodType): object {
  const { $schema: _, id: __, ...rest } = z.toJSONSchema(schema, { io: 'input' })
  return rest
}
