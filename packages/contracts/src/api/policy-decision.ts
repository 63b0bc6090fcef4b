import { z } from 'zod'
import { erasureOrderSchema } from '../decisions.ts'
import { erasedSchema, jwkSetSchema } from './answers.ts'
import { authZenDescription, authZenMetadataSchema, authZenOperations } from './authzen.ts'
import { observeRoutes } from './observe.ts'
import { openCallsAnswerSchema, openCallsBodySchema } from './open-calls.ts'
import { outcomeBodySchema, outcomeResultsSchema, outcomesBodySchema } from './outcomes.ts'
import type { Api, Routes } from './route.ts'

export const policyDecisionRoutes = {
  ...observeRoutes,
  ...authZenOperations,
  ...authZenDescription,
  describeDecisionPoint: {
    method: 'GET',
    path: '/.well-known/authzen-configuration',
    summary: 'AuthZEN metadata (1.0 §9)',
    on: 'http',
    answer: authZenMetadataSchema.extend({
      access_request_endpoint: z.string(),
      jwks_uri: z.string(),
      capabilities: z.array(z.string()),
    }),
  },
  listPermitKeys: {
    method: 'GET',
    path: '/access/v1/jwks',
    summary: 'The keys of permits and of binding tokens, each with the root’s certificate',
    on: 'http',
    answer: jwkSetSchema,
    gives: 'application/jwk-set+json',
  },
  reportOutcomes: {
    method: 'POST',
    path: '/v1/outcomes',
    summary: 'What an enforcement point signed of effects: one, or several, each with its own result',
    on: 'http',
    body: z.union([outcomeBodySchema, outcomesBodySchema]),
    answer: outcomeResultsSchema,
    empty: 204,
  },
  askOpenCalls: {
    method: 'POST',
    path: '/v1/open-calls',
    summary: 'Which calls of an enforcement point that go on must end: as soon as there is one, or after `wait_ms`',
    on: 'http',
    body: openCallsBodySchema,
    answer: openCallsAnswerSchema,
  },
  eraseCalls: {
    method: 'POST',
    path: '/operator/calls/erase',
    summary: 'Erases kept calls',
    on: 'operator',
    body: erasureOrderSchema,
    answer: erasedSchema,
  },
  listPointsWithoutInstance: {
    method: 'GET',
    path: '/operator/points',
    summary: 'The enforcement points that state no instance, and must each be one process',
    on: 'operator',
    answer: z.object({ without_instance: z.array(z.string()) }),
  },
} as const satisfies Routes

export const policyDecisionApi: Api = { title: 'Bailiwick policy decision point', routes: policyDecisionRoutes }
