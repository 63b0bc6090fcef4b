import { z } from 'zod'
import {
  authoritySchema,
  compactJwsSchema,
  credentialIdSchema,
  delegationIdSchema,
  grantIdSchema,
  modeSchema,
  nameSchema,
  requestIdSchema,
  saltedHashSchema,
  sha256Schema,
  spiffeIdSchema,
  thumbprintSchema,
  timestampSchema,
} from './primitives.ts'
import { attestationSchema } from './requests.ts'
import { approvalStatementSchema, assertionSchema } from './statements.ts'

/** A complete grant: what an approval created. Every event of a grant's own life carries all of it. */
export const grantSchema = z
  .strictObject({
    id: grantIdSchema,
    request_id: requestIdSchema,
    agent: spiffeIdSchema,
    instance_key: thumbprintSchema,
    authority: authoritySchema,
    mode: modeSchema,
    not_before: timestampSchema,
    not_after: timestampSchema,
    /** The statement's value, for ever: the humans knew of all revocations up to here. */
    as_of: z.int().min(0),
    statement: approvalStatementSchema,
    statement_hash: sha256Schema,
    assertions: z.array(assertionSchema).min(1).max(16),
  })
  .meta({ id: 'grant' })
export type Grant = z.infer<typeof grantSchema>

const grantEvent = z.strictObject({ grant: grantSchema, cause: z.string().max(200).optional() })

export const credentialIntended = z.strictObject({
  credential_id: credentialIdSchema,
  grant_id: grantIdSchema,
  delegation_id: delegationIdSchema.optional(),
  agent: spiffeIdSchema,
  jkt: thumbprintSchema,
  audience: z.array(z.string().min(1).max(2048)).min(1).max(8),
  issued_at: timestampSchema,
  expires_at: timestampSchema,
  /** How the workload proved, for this credential, which instance it is. */
  attestation: attestationSchema.optional(),
  /** The credential key that will sign. */
  kid: thumbprintSchema,
})

/**
 * A sub-agent redeemed what an agent passed on to it. A reader that needs the chain verifies it from `delegation` (DESIGN §7.3): all other
 * members repeat what is signed in there.
 */
const delegationRedeemed = z.strictObject({
  /** `dlg_` and the SHA-256 of the bytes that the delegation's signature covers. */
  delegation_id: delegationIdSchema,
  grant_id: grantIdSchema,
  /** The delegation under which it was made; absent if the grant's own agent made it. */
  parent: delegationIdSchema.optional(),
  /** The complete delegation, as its maker signed it. */
  delegation: compactJwsSchema,
  /** The sub-agent's instance, and the key that its credentials confirm. */
  agent: spiffeIdSchema,
  instance_key: thumbprintSchema,
  authority: authoritySchema,
  not_after: timestampSchema,
})

export const grantEvents = {
  'grant.created': grantEvent,
  'grant.completed': grantEvent,
  'grant.expired': grantEvent,
  'grant.suspended': grantEvent,
  'grant.resumed': grantEvent,
  'grant.rebound': grantEvent,
  'delegation.redeemed': delegationRedeemed,
  'credential.intended': credentialIntended,
  'credential.issued': z.strictObject({
    credential_id: credentialIdSchema,
    grant_id: grantIdSchema,
    token_hash: sha256Schema,
  }),
  'credential.refused': z.strictObject({
    credential_id: credentialIdSchema.optional(),
    grant_id: grantIdSchema,
    agent: spiffeIdSchema,
    reason: z.string().max(100),
  }),
} as const

export const revocationKindSchema = z.enum([
  'credential',
  'delegation',
  'grant',
  'agent',
  'approver',
  'tool-server',
  'all',
])
export type RevocationKind = z.infer<typeof revocationKindSchema>

/**
 * The event's `version` is the dense sequence of revocations. Kinds credential, delegation and grant revoke by name, for good; the others
 * revoke everything that matches and has an `as_of` below this version (DESIGN §7.3). `target` of kind all is `*`.
 */
export const revocationDeclared = z.strictObject({
  revocation_id: z.string().regex(/^rev_[0-9A-Za-z_-]{20,64}$/),
  kind: revocationKindSchema,
  target: z.string().min(1).max(2100),
  /** A code, or an operator's text as a salted hash. Events from before that change hold the text itself. */
  reason: z.union([z.string().min(1).max(200), saltedHashSchema]),
  by: z.strictObject({
    kind: z.enum(['approver', 'operator', 'agent', 'issuer']),
    id: z.union([nameSchema, spiffeIdSchema]),
  }),
  /** The event that asked for it, if any. */
  cause: z.string().max(128).optional(),
})

/**
 * The issuer has read back the revocation of this `sequence`: it and all earlier ones are durable and count. V7's bound runs from the
 * `time` of this event. A log without any acknowledgement was written before this event existed.
 */
export const revocationAcknowledged = z.strictObject({
  sequence: z.int().min(1),
  /** The issuer's `BAILIWICK_MAX_STALENESS`: how long a decision point may continue without having received the revocation. */
  max_staleness_ms: z.int().min(0),
})
