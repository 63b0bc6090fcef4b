import { z } from 'zod'
import { erasureOrderSchema } from '../../decisions.ts'
import { modeSchema, nameSchema, requestIdSchema, saltedHashSchema } from '../../primitives.ts'
import { saltedTextSchema } from '../../requests.ts'
import { erasedSchema, joinTokenOfferSchema, joinTokenOrderSchema } from '../answers.ts'
import type { Routes } from '../route.ts'
import { changedEntitySchema, recoveryViewSchema, requestStateSchema } from './views.ts'
import { entityTypeSchema } from './workbench.ts'

/** The service's report about ways around the usual governance. */
export const lenienceSchema = z.object({
  single_operator: z.boolean(),
  software_approver: z.boolean(),
  recoveries: z.array(recoveryViewSchema),
})

/** The operator's view of a request; never the agent's own text. */
export const requestSummarySchema = z
  .object({
    id: z.string(),
    state: requestStateSchema,
    kind: z.enum(['access', 'registry', 'step_up']).nullable(),
    received_at: z.string().nullable(),
    expires_at: z.string().nullable(),
    /** The task as the agent named it, the waiting action, or the change. */
    about: z.string().nullable(),
    mode: modeSchema.nullable(),
    /** The instance, or the proposer of a change. */
    from: z.string().nullable(),
    endorsements: z.int(),
    statement_hash: z.string().nullable(),
    closed_by: z.string().nullable(),
  })
  .meta({ id: 'request-summary' })

/** For the CLI on this machine, over the operator's socket. It can propose, look, and keep or erase words; it cannot approve. */
export const approvalOperatorRoutes = {
  proposeChange: {
    method: 'POST',
    path: '/operator/registry/changes',
    summary: 'Proposes a change of the registry, which people answer; null: nothing would change',
    on: 'operator',
    body: z.strictObject({
      proposer: nameSchema,
      entities: z
        .array(z.strictObject({ type: entityTypeSchema, id: z.string().min(1).max(2100), value: z.unknown() }))
        .min(1)
        .max(64),
    }),
    answer: z.object({
      request_id: z.string().nullable(),
      diff: z.array(changedEntitySchema),
      approve_at: z.string(),
    }),
  },
  readRegistry: {
    method: 'GET',
    path: '/operator/registry',
    summary: 'The registry’s entities, without retired ones, and how else it can be changed',
    on: 'operator',
    answer: lenienceSchema.extend({
      enrolled: z.boolean(),
      entities: z.array(
        z.object({
          type: entityTypeSchema,
          id: z.string(),
          version: z.int(),
          hash: z.string().optional(),
          value: z.unknown(),
        }),
      ),
    }),
  },
  offerJoinTokenToApproval: {
    method: 'POST',
    path: '/operator/join-tokens/approval',
    summary: 'Approval accepts this join token once',
    on: 'operator',
    body: joinTokenOrderSchema,
    answer: joinTokenOfferSchema,
  },
  keepWords: {
    method: 'POST',
    path: '/operator/values',
    summary: 'Keeps the operator’s words, for an event that holds their salted hash',
    on: 'operator',
    body: saltedTextSchema.extend({ about: z.string().min(1).max(128), text: z.string().min(1).max(2000) }),
    answer: saltedHashSchema,
  },
  eraseWords: {
    method: 'POST',
    path: '/operator/values/erase',
    summary: 'Erases texts of people and agents',
    on: 'operator',
    body: erasureOrderSchema,
    answer: erasedSchema,
  },
  summariseRequests: {
    method: 'GET',
    path: '/operator/requests',
    summary: 'Every request that is still known',
    on: 'operator',
    answer: lenienceSchema.extend({ requests: z.array(requestSummarySchema) }),
  },
  summariseRequest: {
    method: 'GET',
    path: '/operator/requests/:id',
    summary: 'One request',
    on: 'operator',
    params: z.object({ id: requestIdSchema }),
    answer: requestSummarySchema,
  },
} as const satisfies Routes
