import { z } from 'zod'
import {
  authoritySchema,
  base64urlSchema,
  continuousSchema,
  grantIdSchema,
  installationSchema,
  modeSchema,
  nameSchema,
  requestIdSchema,
  sha256Schema,
  spiffeIdSchema,
  thumbprintSchema,
  timestampSchema,
} from './primitives.ts'

const nonceSchema = base64urlSchema.min(22).max(64)

/**
 * The signer was shown the text whose hash is `action_digest`: action, resource and all arguments. Absent: only the digest was shown, which
 * issuer and decision points refuse unless the rule says `digest_only`. The statement needs no hash of the text, because the digest is one.
 */
const argumentsShownSchema = z.literal('shown').optional()

/** The statement that an approver of an access request signs (DESIGN §7.2): the passkey's challenge is SHA-256(JCS(statement)). */
export const approvalStatementSchema = z
  .strictObject({
    v: z.literal(1),
    kind: z.literal('approval'),
    installation: installationSchema,
    request_id: requestIdSchema,
    request_hash: sha256Schema,
    agent: spiffeIdSchema,
    instance_key: thumbprintSchema,
    rebind: z.enum(['none', 'attested']),
    authority: authoritySchema,
    mode: modeSchema,
    action_digest: sha256Schema.optional(),
    arguments: argumentsShownSchema,
    continuous: continuousSchema.optional(),
    /** A grant in an emergency: the rule for emergencies was followed instead of the rules for agents. Absent in every other statement. */
    emergency: z.literal(true).optional(),
    not_before: timestampSchema,
    not_after: timestampSchema,
    rule: z.strictObject({
      id: nameSchema,
      quorum: z.int().min(1).max(16),
      group: nameSchema,
      group_hash: sha256Schema,
    }),
    policy_set: sha256Schema,
    manifests: z.record(nameSchema, sha256Schema),
    as_of: z.int().min(0),
    nonce: nonceSchema,
    issued_at: timestampSchema,
  })
  .meta({ id: 'approval-statement' })
export type ApprovalStatement = z.infer<typeof approvalStatementSchema>

/**
 * The statement that approvers of a registry change sign. `before` and `after` are JCS hashes; absent if the entity did not exist, or will
 * not exist.
 */
export const registryStatementSchema = z
  .strictObject({
    /**
     * 2: two people sign, regardless of the named proposer. 1: one person was enough if another name proposed it; readers accept it only
     * before the first change of version 2.
     */
    v: z.literal([1, 2]),
    kind: z.literal('registry'),
    installation: installationSchema,
    change_id: requestIdSchema,
    proposer: nameSchema,
    entities: z
      .array(
        z.strictObject({
          type: z.string(),
          id: z.string(),
          version: z.int().min(1),
          before: sha256Schema.optional(),
          after: sha256Schema.optional(),
        }),
      )
      .min(1)
      .max(256),
    not_after: timestampSchema,
    nonce: nonceSchema,
    issued_at: timestampSchema,
  })
  .meta({ id: 'registry-statement' })
export type RegistryStatement = z.infer<typeof registryStatementSchema>

/**
 * What approving a step-up does. `action`: this action may happen once, and nothing else changes. `task`: in addition, a lapsed grant of
 * mode continuous goes on until `until`, at the latest the grant's end.
 */
export const stepUpEffectSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('action') }),
  z.strictObject({ kind: z.literal('task'), until: timestampSchema }),
])
export type StepUpEffect = z.infer<typeof stepUpEffectSchema>

/** The statement that an approver of one more action of a live grant signs. */
export const stepUpStatementSchema = z
  .strictObject({
    v: z.literal(1),
    kind: z.literal('step_up'),
    installation: installationSchema,
    request_id: requestIdSchema,
    grant_id: grantIdSchema,
    action_digest: sha256Schema,
    arguments: argumentsShownSchema,
    /** Absent in statements from before this member. They mean `action`: the signer was not shown that the task would go on. */
    effect: stepUpEffectSchema.optional(),
    not_after: timestampSchema,
    nonce: nonceSchema,
    issued_at: timestampSchema,
  })
  .meta({ id: 'step-up-statement' })
export type StepUpStatement = z.infer<typeof stepUpStatementSchema>

export const statementSchema = z.discriminatedUnion('kind', [
  approvalStatementSchema,
  registryStatementSchema,
  stepUpStatementSchema,
])
export type Statement = z.infer<typeof statementSchema>

/** A WebAuthn assertion (Level 3 §5.2.2), base64url throughout. The credential id names the signer. */
export const assertionSchema = z
  .strictObject({
    credential_id: base64urlSchema.max(1400),
    authenticator_data: base64urlSchema.max(2048),
    client_data_json: base64urlSchema.max(4096),
    signature: base64urlSchema.max(1024),
  })
  .meta({ id: 'assertion' })
export type Assertion = z.infer<typeof assertionSchema>
