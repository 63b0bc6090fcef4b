import { z } from 'zod'
import { authZenDescription, authZenMetadataSchema, authZenOperations } from './authzen.ts'
import { observeRoutes } from './observe.ts'
import type { Api, Routes } from './route.ts'

export const plainPdpRoutes = {
  ...observeRoutes,
  ...authZenOperations,
  ...authZenDescription,
  describePlainDecisionPoint: {
    method: 'GET',
    path: '/.well-known/authzen-configuration',
    summary: 'AuthZEN metadata (1.0 §9)',
    on: 'http',
    answer: authZenMetadataSchema,
  },
  reloadPolicies: {
    method: 'POST',
    path: '/admin/reload',
    summary: 'Reads the policy directory again; 422 if it was refused, and the set before stays active',
    on: 'both',
    answer: z.object({ policy_set: z.string() }),
  },
} as const satisfies Routes

export const plainPdpApi: Api = { title: 'Bailiwick plain decision point', routes: plainPdpRoutes }
