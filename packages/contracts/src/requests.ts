import { z } from 'zod'
import { entitySchemas } from './entities.ts'
import {
  authoritySchema,
  base64urlSchema,
  compactJwsSchema,
  grantIdSchema,
  lineSchema,
  modeSchema,
  nameSchema,
  requestIdSchema,
  saltedHashSchema,
  sha256Schema,
  spiffeIdSchema,
  thumbprintSchema,
  timestampSchema,
} from './primitives.ts'
import { approvalStatementSchema, assertionSchema, registryStatementSchema, statementSchema } from './statements.ts'

/** A text with its salt, beside the signed hash that stands for it; never in a leaf. */
export const saltedTextSchema = z.strictObject({ salt: base64urlSchema.length(22), text: z.string().max(20_000) })

/** What an agent publishes: untrusted until approval has verified the JWS inside. */
export const accessRequestSubmitted = z.object({ request: compactJwsSchema, purpose: saltedTextSchema.optional() })

const accessRequest = z.strictObject({
  kind: z.literal('access'),
  request_id: requestIdSchema,
  /** The agent's own JWS, so that any reader can verify what was asked. */
  request: compactJwsSchema,
  /** SHA-256 of JCS of the JWS payload. */
  request_hash: sha256Schema,
  /** The instance: `<agent id>/<instance>`. */
  agent: spiffeIdSchema,
  instance_key: thumbprintSchema,
  authority: authoritySchema,
  mode: modeSchema,
  action_digest: sha256Schema.optional(),
  rebind: z.enum(['none', 'attested']),
  not_before: timestampSchema,
  not_after: timestampSchema,
  purpose: saltedHashSchema.optional(),
  received_by: z.enum(['topic', 'http']),
  /** Nobody can answer later. */
  expires_at: timestampSchema,
})

const entityChange = <T extends keyof typeof entitySchemas>(type: T) =>
  z
    .strictObject({
      type: z.literal(type),
      id: z.string().min(1).max(2100),
      version: z.int().min(1),
      before: sha256Schema.optional(),
      after: sha256Schema.optional(),
      /** Absent: the entity is retired. */
      value: entitySchemas[type].optional(),
    })
    .meta({ id: `${type}-change` })

export const entityChangeSchema = z.discriminatedUnion('type', [
  entityChange('service-key'),
  entityChange('agent'),
  entityChange('approver'),
  entityChange('rule'),
  entityChange('tool-server'),
  entityChange('enforcement-point'),
  entityChange('policy-set'),
])
export type EntityChange = z.infer<typeof entityChangeSchema>

const registryRequest = z.strictObject({
  kind: z.literal('registry'),
  request_id: requestIdSchema,
  proposer: nameSchema,
  entities: z.array(entityChangeSchema).min(1).max(64),
  expires_at: timestampSchema,
})

export const requestReceived = z.discriminatedUnion('kind', [accessRequest, registryRequest])

export const requestEndorsed = z.strictObject({
  request_id: requestIdSchema,
  statement: statementSchema,
  statement_hash: sha256Schema,
  assertion: assertionSchema,
})
export const requestApproved = z.strictObject({
  request_id: requestIdSchema,
  statement: z.discriminatedUnion('kind', [approvalStatementSchema, registryStatementSchema]),
  statement_hash: sha256Schema,
  assertions: z.array(assertionSchema).min(1).max(16),
})
export const requestDenied = z.strictObject({
  request_id: requestIdSchema,
  by: nameSchema,
  reason: saltedHashSchema.optional(),
})
export const requestExpired = z.strictObject({ request_id: requestIdSchema })
export const requestCancelled = z.strictObject({ request_id: requestIdSchema, by: spiffeIdSchema })
export const requestWithdrawn = z.strictObject({
  request_id: requestIdSchema,
  by: nameSchema,
  grant_id: grantIdSchema.optional(),
  reason: saltedHashSchema.optional(),
})

/** A passkey that was registered with an invitation; the issuer, not approval, makes an approver of it. */
export const enrolmentOffered = z.strictObject({
  enrolment_id: z.string().regex(/^enr_[0-9A-Za-z_-]{20,64}$/),
  approver_id: nameSchema,
  name: lineSchema,
  groups: z.array(nameSchema).max(32),
  credential_id: base64urlSchema.max(1400),
  public_key: base64urlSchema.max(2048),
  sign_count: z.int().min(0),
  /** The invitation key's JWS over these facts. */
  invitation: compactJwsSchema,
})
