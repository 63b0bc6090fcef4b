import { z } from 'zod'
import { currencySchema, decimalSchema, sha256Schema } from '../primitives.ts'
import { textSchema } from './objects.ts'

/** One step from the humans' grant to the acting agent. */
const lineageStepSchema = z.strictObject({
  agent: textSchema,
  /** Only in the first step. */
  grant_id: textSchema.optional(),
  /** In each further step. */
  delegation_id: textSchema.optional(),
})

/**
 * Our extension of OCSF, the member `bailiwick`: who allowed it, and where the proof is. Members are present if they are known; `approvers`
 * are those whose signatures over the grant were verified again when this was written.
 */
export const ocsfExtensionSchema = z
  .strictObject({
    log: z.strictObject({
      origin: textSchema,
      index: z.int().min(0),
      leaf_hash: sha256Schema,
      /** The note is left out if it would make the event too large; the log has it. */
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
    /** No approver's signature over the grant was valid: an error code. */
    approval_problem: textSchema.optional(),
    /**
     * The people who also approved this one action (step-up), verified again too. If that failed, the list is empty and `problem` has the
     * error code.
     */
    step_up: z
      .strictObject({ request_id: textSchema, approvers: z.array(textSchema), problem: textSchema.optional() })
      .optional(),
    rule: textSchema.optional(),
    /** Two people opened an emergency, which went round the rules for approval. Absent otherwise. */
    emergency: z.literal(true).optional(),
    /** From the grant's agent to the acting agent. */
    lineage: z.array(lineageStepSchema).optional(),
    credential_id: textSchema.optional(),
    decision_id: textSchema.optional(),
    action_digest: sha256Schema.optional(),
    enforcement_point: textSchema.optional(),
    /** `VOID`: the answer of a decision point that lost to another one; no caller received it. */
    decision: z.enum(['ALLOW', 'DENY', 'ABANDONED', 'VOID']).optional(),
    reason: textSchema.optional(),
    outcome: z
      .enum(['succeeded', 'failed', 'continued', 'not_executed', 'not_observed', 'unknown', 'missing'])
      .optional(),
    /** The money that an ALLOW reserved, by currency. */
    reserved: z.record(currencySchema, decimalSchema).optional(),
    /** The money that the action cost in the end, by currency: what was reserved, less what its outcome gave back. */
    spent: z.record(currencySchema, decimalSchema).optional(),
    policy_set: sha256Schema.optional(),
    policies: z.array(textSchema).optional(),
    /** The changed, revoked or found object, under the event's own names. */
    details: z.record(z.string(), z.unknown()).optional(),
  })
  .meta({ id: 'ocsf-bailiwick' })
export type OcsfExtension = z.infer<typeof ocsfExtensionSchema>
