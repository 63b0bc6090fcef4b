import { z } from 'zod'
import { sha256Schema } from '../primitives.ts'
import { textSchema } from './objects.ts'

/** One step from the humans' grant to who acted. */
const lineageStepSchema = z.strictObject({
  agent: textSchema,
  /** Of the first step. */
  grant_id: textSchema.optional(),
  /** Of each further one. */
  delegation_id: textSchema.optional(),
})

/**
 * Our extension of OCSF, the member `bailiwick`: who let it happen, and where that is proved. Members are there as far as they
 * are known; `approvers` are those whose signatures over the grant were verified again when this was written.
 */
export const ocsfExtensionSchema = z
  .strictObject({
    log: z.strictObject({
      origin: textSchema,
      index: z.int().min(0),
      leaf_hash: sha256Schema,
      /** The note is left out of an event that would be too large with it; the log has it. */
      checkpoint: z.strictObject({ size: z.int().min(1), root: sha256Schema, note: z.string().max(16_384).optional() }),
    }),
    topic: textSchema,
    producer: textSchema,
    agent: textSchema.optional(),
    /** The human who is accountable for the agent. */
    owner: textSchema.optional(),
    task: textSchema.optional(),
    request_id: textSchema.optional(),
    grant_id: textSchema.optional(),
    mode: textSchema.optional(),
    approvers: z.array(textSchema).optional(),
    /** Nobody's signature over the grant held: an error code. */
    approval_problem: textSchema.optional(),
    /** Who said yes to this one action besides (step-up), verified again too; nobody, with the error code, where that failed. */
    step_up: z
      .strictObject({ request_id: textSchema, approvers: z.array(textSchema), problem: textSchema.optional() })
      .optional(),
    rule: textSchema.optional(),
    /** From the agent of the grant to who acted. */
    lineage: z.array(lineageStepSchema).optional(),
    credential_id: textSchema.optional(),
    decision_id: textSchema.optional(),
    action_digest: sha256Schema.optional(),
    enforcement_point: textSchema.optional(),
    /** `VOID`: the answer of a decision point that another one was ahead of; nobody got it. */
    decision: z.enum(['ALLOW', 'DENY', 'ABANDONED', 'VOID']).optional(),
    reason: textSchema.optional(),
    outcome: z.enum(['succeeded', 'failed', 'not_executed', 'unknown', 'missing']).optional(),
    policy_set: sha256Schema.optional(),
    policies: z.array(textSchema).optional(),
    /** What was changed, revoked or found, by the event's own names. */
    details: z.record(z.string(), z.unknown()).optional(),
  })
  .meta({ id: 'ocsf-bailiwick' })
export type OcsfExtension = z.infer<typeof ocsfExtensionSchema>
