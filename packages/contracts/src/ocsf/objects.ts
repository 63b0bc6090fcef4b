import { z } from 'zod'
import { sha256Schema } from '../primitives.ts'

/** An OCSF text: an id, a name, a sentence. Longer texts are cut, and `metadata.is_truncated` says so. */
export const textSchema = z.string().min(1).max(4096).describe('text')
const timeSchema = z.int().min(0).describe('ms since the epoch')
const jsonSchema = z.record(z.string(), z.unknown())

/** `user`: an agent (type Service, by its SPIFFE ID), or a person (type User). */
export const userSchema = z
  .strictObject({
    uid: textSchema,
    name: textSchema.optional(),
    type_id: z.literal([0, 1, 4]),
    type: z.enum(['Unknown', 'User', 'Service']),
    groups: z.array(z.strictObject({ name: textSchema })).optional(),
  })
  .meta({ id: 'ocsf-user' })

/** `ai_agent`: the agent, and which of its instances acted. */
export const aiAgentSchema = z
  .strictObject({ uid: textSchema, instance_uid: textSchema.optional(), name: textSchema.optional() })
  .meta({ id: 'ocsf-ai-agent' })

export const sessionSchema = z
  .strictObject({
    /** The grant. */
    uid: textSchema,
    credential_uid: textSchema.optional(),
    issuer: textSchema,
    created_time: timeSchema.optional(),
    expiration_time: timeSchema.optional(),
  })
  .meta({ id: 'ocsf-session' })

export const actorSchema = z
  .strictObject({ user: userSchema, session: sessionSchema.optional() })
  .meta({ id: 'ocsf-actor' })

export const policySchema = z
  .strictObject({ uid: textSchema.optional(), name: textSchema, is_applied: z.boolean().optional() })
  .meta({ id: 'ocsf-policy' })

export const apiSchema = z
  .strictObject({
    operation: textSchema,
    request: z.strictObject({ uid: textSchema, data: jsonSchema.optional() }),
    response: z.strictObject({ message: textSchema }).optional(),
    service: z.strictObject({ name: textSchema }).optional(),
  })
  .meta({ id: 'ocsf-api' })

/** `ai_model`: the model that was called, and the server of the registry that offers it. */
export const aiModelSchema = z.strictObject({ ai_provider: textSchema, name: textSchema }).meta({ id: 'ocsf-ai-model' })

/** `message_context`: what the model read and wrote in this call. Never the words. */
export const messageContextSchema = z
  .strictObject({
    service: z.strictObject({ name: textSchema }),
    prompt_tokens: z.int().min(0),
    completion_tokens: z.int().min(0),
    total_tokens: z.int().min(0),
  })
  .meta({ id: 'ocsf-message-context' })

export const resourceSchema = z
  .strictObject({ uid: textSchema, type: textSchema, labels: z.array(textSchema).optional() })
  .meta({ id: 'ocsf-resource' })

export const endpointSchema = z
  .strictObject({ name: textSchema.optional(), svc_name: textSchema.optional() })
  .refine(({ name, svc_name }) => name !== undefined || svc_name !== undefined, 'an endpoint without a name')
  .meta({ id: 'ocsf-endpoint' })

/** `managed_entity`: an entity of the registry. `data` gives its current state, by its hash. */
export const managedEntitySchema = z
  .strictObject({
    uid: textSchema,
    type_id: z.literal([5, 99]),
    type: textSchema,
    version: textSchema.optional(),
    data: jsonSchema.optional(),
  })
  .meta({ id: 'ocsf-entity' })

/** `product`, as the application whose life changes: a tool server, an enforcement point. */
export const applicationSchema = z
  .strictObject({
    uid: textSchema,
    name: textSchema,
    vendor_name: textSchema.optional(),
    version: textSchema.optional(),
    url_string: textSchema.optional(),
  })
  .meta({ id: 'ocsf-product' })

export const findingInfoSchema = z
  .strictObject({
    uid: textSchema,
    title: textSchema,
    types: z.array(textSchema).min(1),
    created_time: timeSchema,
    desc: textSchema,
  })
  .meta({ id: 'ocsf-finding-info' })

const fingerprintSchema = z.strictObject({
  algorithm_id: z.literal(3),
  algorithm: z.literal('SHA-256'),
  encoding_id: z.literal(3),
  encoding: z.literal('Base64URL'),
  serialization_id: z.literal(99).optional(),
  serialization: textSchema.optional(),
  value: sha256Schema,
})

/**
 * Profile `record_integrity`: the leaf from which this event was made, in the log that `chain_uid` names. `uid` is its index. The
 * fingerprint is the leaf's hash, SHA-256 over 0x00 and the leaf's bytes (RFC 6962 §2.1), and not a hash of this JSON. The signature is the
 * log's, under the checkpoint whose root is `digest`.
 */
export const attestationSchema = z
  .strictObject({
    uid: z.string().regex(/^\d{1,16}$/),
    chain_uid: textSchema,
    authority_uid: textSchema,
    fingerprint: fingerprintSchema,
    signatures: z
      .array(
        z.strictObject({
          algorithm_id: z.literal(99),
          algorithm: z.literal('Ed25519'),
          serialization_id: z.literal(99),
          serialization: z.literal('C2SP signed-note'),
          digest: fingerprintSchema,
        }),
      )
      .length(1),
  })
  .meta({ id: 'ocsf-attestation' })

export const metadataSchema = z
  .strictObject({
    /** `evt_` and the leaf's hash: an event that is sent twice has the same id. */
    uid: z.string().regex(/^evt_[A-Za-z0-9_-]{43}$/),
    version: z.literal('1.9.0'),
    product: applicationSchema,
    profiles: z.array(z.enum(['ai_operation', 'record_integrity', 'security_control'])).min(1),
    extensions: z
      .array(z.strictObject({ name: z.literal('bailiwick'), uid: textSchema, version: textSchema }))
      .length(1),
    /** The leaf's index, which gives one order. */
    sequence: z.int().min(0),
    log_name: textSchema,
    log_provider: textSchema,
    tenant_uid: textSchema,
    event_code: textSchema,
    original_event_uid: textSchema,
    /** The grant, otherwise the request: shared by everything that belongs together. */
    correlation_uid: textSchema.optional(),
    is_truncated: z.literal(true).optional(),
    untruncated_size: z.int().optional(),
  })
  .meta({ id: 'ocsf-metadata' })
