import { z } from 'zod'
import { actionSchema } from './decisions.ts'
import { entitySchemas } from './entities.ts'
import {
  authoritySchema,
  base64urlSchema,
  compactJwsSchema,
  decisionIdSchema,
  grantIdSchema,
  lineSchema,
  modeSchema,
  nameSchema,
  publicJwkSchema,
  requestIdSchema,
  saltedHashSchema,
  sha256Schema,
  spiffeIdSchema,
  thumbprintSchema,
  timestampSchema,
} from './primitives.ts'
import { assertionSchema, statementSchema } from './statements.ts'

/** The most characters of a text stored outside the log (docs/reference/events). A longer text is refused, never shortened. */
export const longestText = 20_000

/** A text with its salt, sent next to the signed hash that represents it; never in a leaf. */
export const saltedTextSchema = z.strictObject({ salt: base64urlSchema.length(22), text: z.string().max(longestText) })

/**
 * The salted hash, signed by the agent, of the canonical text whose plain hash is `action_digest`: one action with all its arguments.
 * Approval accepts only that text under it. Absent if the agent sent only the digest, and in events from before this member: approvers
 * then saw only the digest.
 */
const argumentsSchema = saltedHashSchema.optional()

/** A request that an agent publishes: untrusted until approval has verified the JWS inside. */
export const accessRequestSubmitted = z.object({
  request: compactJwsSchema,
  purpose: saltedTextSchema.optional(),
  arguments: saltedTextSchema.optional(),
})

/** How the workload proved which instance it is. The token itself is never in an event. */
export const attestationSchema = z
  .strictObject({
    kind: z.enum(['registered_key', 'jwt_svid', 'oidc', 'join_token', 'emergency']),
    /** SHA-256 of the token; absent with a registered key. */
    token_hash: sha256Schema.optional(),
    /** The instance's key, if the registry does not hold it. */
    jwk: publicJwkSchema.optional(),
    attested_at: timestampSchema,
  })
  .meta({ id: 'attestation' })
export type Attestation = z.infer<typeof attestationSchema>

/** Where the result of the request is sent, if the agent wants that; it never carries a grant. */
const callbackSchema = z.url({ protocol: /^https$/ }).max(2048)

const accessRequest = z.strictObject({
  kind: z.literal('access'),
  request_id: requestIdSchema,
  /** One of the parts into which rules split the request; each is a request of its own. */
  item: z
    .strictObject({ task: requestIdSchema, index: z.int().min(0).max(63), count: z.int().min(2).max(64) })
    .optional(),
  /** The agent's own JWS, so that any reader can verify what was requested. */
  request: compactJwsSchema,
  /** SHA-256 of JCS of the JWS payload. */
  request_hash: sha256Schema,
  /** The instance: `<agent id>/<instance>`. */
  agent: spiffeIdSchema,
  instance_key: thumbprintSchema,
  authority: authoritySchema,
  mode: modeSchema,
  action_digest: sha256Schema.optional(),
  arguments: argumentsSchema,
  rebind: z.enum(['none', 'attested']),
  not_before: timestampSchema,
  not_after: timestampSchema,
  purpose: saltedHashSchema.optional(),
  received_by: z.enum(['topic', 'http']),
  /** Absent in events from before there were other ways than a registered key. */
  attestation: attestationSchema.optional(),
  /** The denial that it answers, whose binding token was presented. */
  denial: z.strictObject({ decision_id: decisionIdSchema }).optional(),
  callback: callbackSchema.optional(),
  /** Why it is asked again: the earlier approval had become void. */
  reopened: z.enum(['policy_changed', 'manifest_changed']).optional(),
  /** The time after which the request can no longer be answered. */
  expires_at: timestampSchema,
})

/** One action of a live grant that needs a human once more (DESIGN §1, mode continuous; a policy's step-up). */
const stepUpRequest = z.strictObject({
  kind: z.literal('step_up'),
  request_id: requestIdSchema,
  /** The agent's own JWS, which names grant and digest. */
  request: compactJwsSchema,
  request_hash: sha256Schema,
  agent: spiffeIdSchema,
  instance_key: thumbprintSchema,
  grant_id: grantIdSchema,
  /** As described by the decision point in its binding token. */
  action: actionSchema,
  arguments: argumentsSchema,
  denial: z.strictObject({ decision_id: decisionIdSchema, reason: z.string().regex(/^[a-z]+(_[a-z]+)*$/) }),
  /**
   * What the decision point found missing: approval of this action, or of continuing the lapsed task. Absent: of this action. The signed
   * statement determines what an approval does.
   */
  needs: z.enum(['action', 'task']).optional(),
  purpose: saltedHashSchema.optional(),
  received_by: z.enum(['topic', 'http']),
  attestation: attestationSchema.optional(),
  callback: callbackSchema.optional(),
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
  entityChange('auditor'),
  entityChange('policy-set'),
  entityChange('recovery'),
])
export type EntityChange = z.infer<typeof entityChangeSchema>

const registryRequest = z.strictObject({
  kind: z.literal('registry'),
  request_id: requestIdSchema,
  proposer: nameSchema,
  entities: z.array(entityChangeSchema).min(1).max(64),
  expires_at: timestampSchema,
})

export const requestReceived = z.discriminatedUnion('kind', [accessRequest, registryRequest, stepUpRequest])

export const requestEndorsed = z.strictObject({
  request_id: requestIdSchema,
  statement: statementSchema,
  statement_hash: sha256Schema,
  assertion: assertionSchema,
})
export const requestApproved = z.strictObject({
  request_id: requestIdSchema,
  statement: statementSchema,
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

/** A person who did not act in an emergency says to have read its report. The grant is over by then. */
export const requestReviewed = z.strictObject({ request_id: requestIdSchema, by: nameSchema })

/** A passkey that was registered with an invitation; the issuer, not the approval service, makes it an approver's. */
export const enrolmentOffered = z.strictObject({
  enrolment_id: z.string().regex(/^enr_[0-9A-Za-z_-]{20,64}$/),
  approver_id: nameSchema,
  name: lineSchema,
  groups: z.array(nameSchema).max(32),
  credential_id: base64urlSchema.max(1400),
  public_key: base64urlSchema.max(2048),
  sign_count: z.int().min(0),
  /** The JWS over these facts by the invitation key, or by the key of `recovery`. */
  invitation: compactJwsSchema,
  recovery: nameSchema.optional(),
})

/** A person at the console revokes something other than one grant; the issuer declares the revocation. */
export const revocationRequested = z.strictObject({
  revocation_id: z.string().regex(/^rev_[0-9A-Za-z_-]{20,64}$/),
  kind: z.enum(['delegation', 'agent', 'approver', 'tool-server', 'all']),
  target: z.string().min(1).max(2100),
  by: nameSchema,
  reason: saltedHashSchema.optional(),
})
