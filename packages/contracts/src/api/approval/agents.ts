import { z } from 'zod'
import { compactJwsSchema, publicJwkSchema, requestIdSchema, spiffeIdSchema } from '../../primitives.ts'
import { saltedTextSchema } from '../../requests.ts'
import { jwkSetSchema } from '../answers.ts'
import type { Routes } from '../route.ts'

const textSchema = z.string().min(1).max(2048)
const propertiesSchema = z.record(z.string(), z.unknown())
const resourceSchema = z.looseObject({ type: z.string().min(1).max(100), id: textSchema })
const actionSchema = z.looseObject({ name: z.string().min(1).max(200), properties: propertiesSchema.optional() })
const denialSchema = z.looseObject({
  binding_token: compactJwsSchema.optional(),
  evaluation_id: textSchema.optional(),
  evaluated_at: z.string().max(40).optional(),
  expires_at: z.string().max(40).optional(),
  reason: z.string().max(100).optional(),
  template: textSchema.optional(),
})
const itemSchema = z.looseObject({ resource: resourceSchema, action: actionSchema, denial: denialSchema.optional() })

/**
 * A submission (access request profile, "Access Request Submission", "Request Items", "Callback Completion"). The ask is what the agent
 * signed in `bailiwick.request`; the profile's members must agree with it. Unknown members are ignored.
 */
export const submissionSchema = z
  .looseObject({
    subject: z.looseObject({ type: z.string().min(1).max(200), id: textSchema }),
    resource: resourceSchema.optional(),
    action: actionSchema.optional(),
    items: z.array(itemSchema).min(1).max(64).optional(),
    denial: denialSchema.optional(),
    callback: z
      .looseObject({
        endpoint: textSchema,
        state: z.string().max(1024).optional(),
        events: z.array(z.string().max(40)).min(1).max(16).optional(),
      })
      .optional(),
    client: z
      .looseObject({ actor: z.looseObject({ id: textSchema, act: z.unknown().optional() }).optional() })
      .optional(),
    bailiwick: z.strictObject({
      request: compactJwsSchema,
      purpose: saltedTextSchema.optional(),
      /** Not limited here, so that a long text gets its own error (`arguments_too_long`). */
      arguments: saltedTextSchema.extend({ text: z.string() }).optional(),
      /** How a workload without a registered key shows which instance it is. The token never leaves this process. */
      attestation: z.strictObject({ token: z.string().min(1).max(32_768), jwk: publicJwkSchema }).optional(),
    }),
  })
  .refine(({ items, resource }) => (items === undefined) !== (resource === undefined), { path: ['resource'] })
  .refine(({ items, action }) => (items === undefined) !== (action === undefined), { path: ['action'] })
export type SubmissionBody = z.infer<typeof submissionSchema>

const itemStatusSchema = z.enum(['pending', 'approved', 'denied', 'expired', 'cancelled', 'failed'])
export type ItemStatus = z.infer<typeof itemStatusSchema>

const resultSchema = z
  .object({
    mode: z.literal('reevaluate'),
    approval: z.object({
      id: z.string(),
      grant_id: z.string(),
      approved_at: z.string(),
      approved_until: z.string(),
    }),
  })
  .meta({ id: 'access-result' })
export type Result = z.infer<typeof resultSchema>

/** One action on one resource of an ask, with the outcome of the part that it belongs to. */
const taskItemSchema = z.object({
  resource: z.object({ type: z.string(), id: z.string() }),
  action: z.object({ name: z.string() }),
  status: itemStatusSchema,
  result: resultSchema.optional(),
})
export type TaskItem = z.infer<typeof taskItemSchema>

/** A task as its agent sees it (AuthZEN Access Request and Approval Profile, Draft 1, "Access Request Response"). */
export const accessTaskSchema = z
  .object({
    task: z.object({
      id: z.string(),
      status: z.enum([...itemStatusSchema.options, 'partial']),
      status_endpoint: z.string(),
      expires_at: z.string().optional(),
      links: z.object({ cancel: z.string() }),
      items: z.array(taskItemSchema),
    }),
    result: resultSchema.optional(),
  })
  .meta({ id: 'access-task' })
export type Task = z.infer<typeof accessTaskSchema>

/** A handle is opaque to its holder (profile, "Task Handle Authorization"). A handle of any form that belongs to no task is unknown. */
const handleSchema = z.object({ id: z.string().max(256) })

/** For agents. A caller proves an instance’s key by a DPoP proof of the very call. */
export const agentRoutes = {
  submitAccessRequest: {
    method: 'POST',
    path: '/access/v1/requests',
    summary: 'Asks people for authority; 202 while it is pending (AuthZEN Access Request and Approval Profile)',
    on: 'http',
    body: submissionSchema,
    answer: accessTaskSchema,
    statuses: [201, 202],
  },
  listAccessRequests: {
    method: 'GET',
    path: '/access/v1/requests',
    summary: 'An agent’s own tasks, newest first',
    on: 'http',
    query: z.strictObject({
      agent: spiffeIdSchema,
      limit: z.coerce.number().int().min(1).max(100).default(20),
      after: requestIdSchema.optional(),
    }),
    answer: z.object({ tasks: z.array(accessTaskSchema), next: z.string().optional() }),
  },
  readAccessRequest: {
    method: 'GET',
    path: '/access/v1/requests/:id',
    summary: 'The state of a task',
    on: 'http',
    params: handleSchema,
    answer: accessTaskSchema,
  },
  cancelAccessRequest: {
    method: 'POST',
    path: '/access/v1/requests/:id/cancel',
    summary: 'An agent takes a task back; a body is ignored',
    on: 'http',
    params: handleSchema,
    answer: accessTaskSchema,
  },
  listNotificationKeys: {
    method: 'GET',
    path: '/.well-known/bailiwick-notification-keys',
    summary: 'The keys with which recipients verify notifications and callbacks',
    on: 'http',
    answer: jwkSetSchema,
  },
} as const satisfies Routes
