import { z } from 'zod'
import {
  base64urlSchema,
  compactJwsSchema,
  continuousSchema,
  currencySchema,
  decimalSchema,
  lineSchema,
  modeSchema,
  nameSchema,
  publicJwkSchema,
  sha256Schema,
  spiffeIdSchema,
  thumbprintSchema,
  timestampSchema,
} from './primitives.ts'

const labelSchema = z.string().regex(/^[a-z][a-z0-9_]{0,63}$/, 'not a label')
const resourceScopeSchema = z
  .union([
    z.strictObject({ type: z.string().min(1).max(100), id: z.string().min(1).max(2048) }),
    z.strictObject({ type: z.string().min(1).max(100), id_prefix: z.string().min(1).max(2048) }),
    z.strictObject({ type: z.string().min(1).max(100) }),
  ])
  .meta({ id: 'resource-scope' })

/** A service's key. `certificate` is the root's JWS over the same facts; without it no reader counts the entity. */
export const serviceKeySchema = z
  .strictObject({
    id: thumbprintSchema,
    service: z.enum(['approval', 'issuer', 'policy-decision', 'evidence']),
    purpose: z.enum([
      'credential',
      'issuer-event',
      'approval-event',
      'pdp-event',
      'evidence-event',
      'permit',
      'binding-token',
      'notification',
    ]),
    topics: z.array(z.string()).max(32),
    jwk: publicJwkSchema,
    not_before: timestampSchema,
    not_after: timestampSchema,
    certificate: compactJwsSchema,
    /** Absent: active, like the keys of the genesis. Among a purpose's active keys, the one that became active last signs. */
    state: z.enum(['prepared', 'active', 'tainted']).optional(),
  })
  .meta({ id: 'service-key' })

const instanceSchema = z.string().regex(/^(?!\.{1,2}$)[A-Za-z0-9._-]{1,64}$/, 'not the name of an instance')

/**
 * How a workload shows which instance of the agent it is. With `registered_key` the registry holds each instance's key. With the others a
 * workload proves itself anew each time, and the key is the one that it proves together with its token.
 */
export const attestorSchema = z
  .discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('registered_key'),
      keys: z
        .array(z.strictObject({ instance: instanceSchema, jwk: publicJwkSchema }))
        .min(1)
        .max(64),
    }),
    /** JWT-SVID (SPIFFE JWT-SVID §4) of `<agent id>/<instance>`, by the trust bundle of the agent's trust domain. */
    z.strictObject({
      kind: z.literal('jwt_svid'),
      bundle: z.union([
        z.strictObject({ file: z.string().min(1).max(1024) }),
        z.strictObject({ url: z.url({ protocol: /^https$/ }).max(2048) }),
      ]),
    }),
    /** Any OIDC workload token: its issuer, the claims that it must have, and the claim that names the instance. */
    z.strictObject({
      kind: z.literal('oidc'),
      issuer: z.url({ protocol: /^https$/ }).max(2048),
      /** The address of its keys; if absent, found by OpenID Connect Discovery §4. */
      jwks: z
        .union([
          z.strictObject({ file: z.string().min(1).max(1024) }),
          z.strictObject({ url: z.url({ protocol: /^https$/ }).max(2048) }),
        ])
        .optional(),
      audience: z.string().min(1).max(2048),
      /** By JSON pointer: the claim's required value, or one of several. */
      claims: z.record(
        z
          .string()
          .regex(/^(\/[^/]+)+$/, 'not a JSON pointer')
          .max(256),
        z.union([z.string().max(1024), z.array(z.string().max(1024)).min(1).max(64)]),
      ),
      /** By JSON pointer: the claim whose value is the instance. */
      instance_claim: z
        .string()
        .regex(/^(\/[^/]+)+$/, 'not a JSON pointer')
        .max(256),
    }),
    /** A token that the operator made, for one use within minutes; for development. */
    z.strictObject({ kind: z.literal('join_token') }),
    /**
     * The identity of a person, `owner`, in an emergency. An instance is named by the thumbprint of a key that was made for it, and counts
     * because two people sign a statement that names that key. No workload can show that it is one.
     */
    z.strictObject({ kind: z.literal('emergency') }),
  ])
  .meta({ id: 'attestor' })
export type Attestor = z.infer<typeof attestorSchema>

/** An agent: a class of identity of its own. `id` names the agent, and an instance is a path below it (`<id>/<instance>`). */
export const agentSchema = z
  .strictObject({
    id: spiffeIdSchema,
    name: lineSchema,
    owner: nameSchema,
    attestor: attestorSchema,
    labels: z.array(labelSchema).max(32),
    proactive_requests: z.boolean(),
    /** Where the end of its tasks may be reported: https, by prefix. If empty: nowhere. */
    callbacks: z
      .array(z.url({ protocol: /^https$/ }).max(2048))
      .max(16)
      .optional(),
  })
  .meta({ id: 'agent' })

/** A human who answers. Passkeys as WebAuthn registered them: `public_key` is the COSE key. */
export const approverSchema = z
  .strictObject({
    id: nameSchema,
    name: lineSchema,
    groups: z.array(nameSchema).max(32),
    credentials: z
      .array(
        z.strictObject({
          credential_id: base64urlSchema.max(1400),
          public_key: base64urlSchema.max(2048),
          sign_count: z.int().min(0),
          registered_at: timestampSchema,
        }),
      )
      .min(1)
      .max(16),
  })
  .meta({ id: 'approver' })

/** Rules say who may approve what. They are tried by `order`, then `id`, and the first match applies. Without a rule no one can approve. */
export const ruleSchema = z
  .strictObject({
    id: nameSchema,
    order: z.int().min(0).max(1_000_000),
    match: z.strictObject({
      agents: z.array(z.string().min(1).max(2048)).max(64).optional(),
      actions: z.array(z.string().min(1).max(200)).max(64).optional(),
      resources: z.array(resourceScopeSchema).max(64).optional(),
      /** Labels of a tool: it has at least one of these. An undescribed tool has the label `unlabelled`. */
      labels: z.array(labelSchema).max(32).optional(),
      /** Labels of the agent: it has at least one of these. */
      agent_labels: z.array(labelSchema).max(32).optional(),
      /** The request may cost more than this, in one of these currencies. */
      cost_above: z.record(currencySchema, decimalSchema).optional(),
    }),
    approvers: z.strictObject({ group: nameSchema, quorum: z.int().min(1).max(16) }),
    owner_may_approve: z.boolean(),
    modes: z.array(modeSchema).min(1).max(3),
    max_window_seconds: z
      .int()
      .min(1)
      .max(8 * 3600),
    narrowing: z.boolean(),
    /** The freshness that mode continuous requires; without it the rule does not allow that mode. */
    continuous: continuousSchema.optional(),
    /**
     * Whether approvers must be shown all arguments of one exact action (`per_action`, a step-up) before they sign its digest. Absent, as
     * in rules from before this member: `required`.
     */
    arguments: z.enum(['required', 'digest_only']).optional(),
    /** Every permission must be closed: it permits only the arguments that it names. Absent: it may be open. */
    closed_permissions: z.boolean().optional(),
    /** Anything that may be delegated must list its delegates. Absent: delegation to any agent is possible. */
    listed_delegates: z.boolean().optional(),
    /**
     * Makes this a rule for emergencies, and for nothing else: the most that may be granted to the emergency identity of a person, in the
     * language of authorities. Two people sign, one of them that person, for at most 15 minutes. Without such a rule there are no
     * emergencies.
     */
    emergency: z
      .strictObject({
        permissions: z.array(z.looseObject({})).min(1).max(64),
        budget: z.looseObject({}),
      })
      .optional(),
  })
  .meta({ id: 'rule' })

const argumentSchema = z
  .string()
  .regex(/^(\/([^~/]|~[01])*)+$/, 'not a JSON pointer')
  .max(256)

/** What people say of one tool. */
export const toolSchema = z.strictObject({
  labels: z.array(labelSchema).max(32),
  /** The arguments that state what a call costs. Rules believe a permission's cost only if it names the same arguments. */
  cost: z.strictObject({ amount: argumentSchema, currency: argumentSchema }).optional(),
})

/** A server of tools: the hash of its manifest, and what each tool does. */
export const toolServerSchema = z
  .strictObject({
    id: nameSchema,
    url: z.url().max(2048),
    manifest: sha256Schema,
    tools: z.record(z.string().min(1).max(200), toolSchema),
  })
  .meta({ id: 'tool-server' })

/** An enforcement point: the key that authenticates its calls, the key that signs its outcomes, and what it may ask about. */
export const enforcementPointSchema = z
  .strictObject({
    id: nameSchema,
    caller_jwk: publicJwkSchema,
    /**
     * For a point that can only send one secret: the hash of 32 random bytes in base64url, which authenticate its calls to the decision
     * point in addition to its key. The secret cannot be guessed, but anyone who sees it can use it.
     */
    bearer_sha256: sha256Schema.optional(),
    outcome_jwk: publicJwkSchema,
    resources: z.array(resourceScopeSchema).min(1).max(256),
    /** Where callers reach it: a proof made for any other address is refused there. */
    base_urls: z.array(z.url().max(2048)).max(64),
    may_release: z.boolean(),
  })
  .meta({ id: 'enforcement-point' })

/** May introspect any credential, and may change nothing: an auditor, an operator, or a program of theirs, by its key. */
export const auditorSchema = z
  .strictObject({ id: nameSchema, name: lineSchema, jwk: publicJwkSchema })
  .meta({ id: 'auditor' })

/** The active policy set, by hash: SHA-256 of JCS `{ <file name>: <sha256 of its bytes> }`. A file on disk is a candidate. */
export const policySetSchema = z
  .strictObject({
    id: z.literal('active'),
    hash: sha256Schema,
    files: z.record(z.string().regex(/^[A-Za-z0-9._-]{1,128}$/), sha256Schema),
    /** Set if the set intentionally denies every request. Without it, a set that has no `permit` is not loaded. */
    permits_nothing: z.literal(true).optional(),
  })
  .meta({ id: 'policy-set' })

/**
 * For an approver whose passkeys are all lost. The root key names the person to be enrolled, once, by the holder of this key, no sooner
 * than 24 h after the registry accepted it. Any remaining approver can have it retired until then.
 */
export const recoverySchema = z
  .strictObject({
    id: nameSchema,
    jwk: publicJwkSchema,
    approver_id: nameSchema,
    name: lineSchema,
    groups: z.array(nameSchema).max(32),
  })
  .meta({ id: 'recovery' })

/** The contents of the registry, by entity type. */
export const entitySchemas = {
  'service-key': serviceKeySchema,
  agent: agentSchema,
  approver: approverSchema,
  rule: ruleSchema,
  'tool-server': toolServerSchema,
  'enforcement-point': enforcementPointSchema,
  auditor: auditorSchema,
  'policy-set': policySetSchema,
  recovery: recoverySchema,
} as const

export type EntityType = keyof typeof entitySchemas
export type Entity<T extends EntityType = EntityType> = z.infer<(typeof entitySchemas)[T]>
export type ServiceKey = Entity<'service-key'>
export type Agent = Entity<'agent'>
export type Approver = Entity<'approver'>
export type Rule = Entity<'rule'>
export type ToolServer = Entity<'tool-server'>
export type EnforcementPoint = Entity<'enforcement-point'>
export type PolicySet = Entity<'policy-set'>
export type Recovery = Entity<'recovery'>
