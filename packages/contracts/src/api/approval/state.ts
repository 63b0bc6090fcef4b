import { z } from 'zod'
import { modeSchema } from '../../primitives.ts'
import { shownAuthoritySchema } from '../answers.ts'
import { changedEntitySchema, grantViewSchema, proseSchema } from './views.ts'

const openMembers = {
  id: z.string(),
  received_at: z.string(),
  expires_at: z.string(),
  signed_by: z.array(z.string()),
  may_approve: z.boolean(),
  why_not: z.string().nullable(),
}

/** Everything that a program with a person's session looks at: open requests and recent grants, newest first, and bounded. */
export const stateSchema = z.object({
  now: z.string(),
  installation: z.string(),
  single_operator: z.boolean(),
  fresh: z.boolean(),
  me: z.object({ id: z.string(), name: z.string(), groups: z.array(z.string()) }),
  requests: z.array(
    z.object({
      ...openMembers,
      received_by: z.enum(['topic', 'http']),
      agent: z.string(),
      agent_name: z.string().nullable(),
      owner: z.string().nullable(),
      mode: modeSchema,
      action_digest: z.string().nullable(),
      rebind: z.enum(['none', 'attested']),
      authority: shownAuthoritySchema,
      lines: z.array(z.string()),
      not_before: z.string(),
      not_after: z.string(),
      prose: proseSchema.nullable(),
      rule: z.object({ id: z.string(), group: z.string(), quorum: z.int(), narrowing: z.boolean() }).nullable(),
      may_deny: z.boolean(),
    }),
  ),
  changes: z.array(
    z.object({
      ...openMembers,
      proposer: z.string(),
      diff: z.array(changedEntitySchema),
      rule: z.object({
        quorum: z.int(),
        /** Absent: every approver may sign. */
        group: z.string().optional(),
        why: z.enum(['objection', 'second', 'single_operator', 'rule', 'two']),
      }),
    }),
  ),
  grants: z.array(grantViewSchema),
})
