import { z } from 'zod'
import { entitySchemas } from '../entities.ts'
import { revocationKindSchema } from '../grants.ts'
import {
  compactJwsSchema,
  delegationIdSchema,
  grantIdSchema,
  modeSchema,
  requestIdSchema,
  saltedHashSchema,
} from '../primitives.ts'
import { joinTokenOfferSchema, joinTokenOrderSchema, jwkSetSchema } from './answers.ts'
import { observeRoutes } from './observe.ts'
import type { Api, Routes } from './route.ts'

/** How a client can identify itself (RFC 7521 §4.2). */
const assertionTypeSchema = z.enum([
  'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
  'urn:bailiwick:params:oauth:client-assertion-type:join-token',
])
export type AssertionType = z.infer<typeof assertionTypeSchema>

/** The assertion that authenticates a client; part of the form of every OAuth route. */
export const clientAssertionFormSchema = z.object({
  client_assertion_type: assertionTypeSchema,
  client_assertion: z.string().max(16_384),
  client_id: z.string().max(2048).optional(),
})

/** `grant_type=client_credentials` (RFC 6749 §4.4) with RFC 9396. `scope` and `audience` are refused. */
export const clientCredentialsFormSchema = z.object({
  authorization_details: z.string().max(2048).describe('JSON: one `bailiwick_grant` with grant_id or request_id'),
  resource: z.string().max(2048).optional(),
  scope: z.string().optional(),
  audience: z.string().optional(),
})

/** The type of a signed delegation in a token exchange (RFC 8693 §3). */
export const jwtType = 'urn:ietf:params:oauth:token-type:jwt'
/** The type of the credential that a token exchange gives. */
export const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token'

/** `grant_type=urn:ietf:params:oauth:grant-type:token-exchange` (RFC 8693 §2.1). */
export const tokenExchangeFormSchema = z.object({
  /** The delegation, as its maker signed it: a JWT, and the only kind of token that is exchanged here. */
  subject_token: z.string().max(32_768),
  subject_token_type: z.literal(jwtType),
  requested_token_type: z.literal(accessTokenType).optional(),
  resource: z.string().max(2048).optional(),
})

/** Without `token_type_hint`: there is only one type of token. */
export const tokenFormSchema = z.object({ token: z.string() })

const grantTypeForm = (grantType: string, form: z.ZodObject) =>
  clientAssertionFormSchema.extend({ grant_type: z.literal(grantType), ...form.shape })

const keyStateSchema = z.enum(['prepared', 'active', 'replaced', 'tainted', 'revoked'])

/** A key as operators see it. `replaced`: it may sign but does not, since another key signs now. */
export const keyStandingSchema = z
  .object({
    kid: z.string(),
    purpose: z.string(),
    service: z.string(),
    state: keyStateSchema,
    /** RFC 3339. */
    since: z.string(),
    not_after: z.string(),
  })
  .meta({ id: 'key-standing' })
export type KeyStanding = z.infer<typeof keyStandingSchema>

/** A service instance that judges by revocations, and how long it took until it was heard to apply one. */
export const appliedSchema = z
  .object({
    service: z.string(),
    /** `/<service>/<instance>`; `/<service>/*` for instances beyond those that are listed one by one. */
    producer: z.string(),
    /** ms from the acknowledgement until its signed head was here; null if it was not heard to apply the revocation in time. */
    ms: z.number().nullable(),
  })
  .meta({ id: 'applied' })

const targetSchema = z.strictObject({ kind: revocationKindSchema, target: z.string().min(1).max(2100) })
const actorSchema = z.object({
  sub: z.string(),
  get act() {
    return z.optional(actorSchema)
  },
})
z.globalRegistry.add(actorSchema, { id: 'token-actor' })

/** The claims of a credential (RFC 9068, RFC 9396), and that it is a DPoP token. */
const activeTokenSchema = z.object({
  active: z.literal(true),
  token_type: z.literal('DPoP'),
  iss: z.string(),
  aud: z.union([z.string(), z.array(z.string())]),
  sub: z.string(),
  client_id: z.string(),
  iat: z.int(),
  exp: z.int(),
  jti: z.string(),
  cnf: z.object({ jkt: z.string() }),
  authorization_details: z.array(z.record(z.string(), z.unknown())),
  grant: z.object({
    id: z.string(),
    root: z.string(),
    request: z.string(),
    mode: modeSchema,
    statement_hash: z.string(),
    as_of: z.int(),
    delegation: z.string().optional(),
  }),
  act: actorSchema.optional(),
})

export const issuerRoutes = {
  ...observeRoutes,
  describeIssuer: {
    method: 'GET',
    path: '/.well-known/oauth-authorization-server',
    summary: 'Metadata of the authorization server (RFC 8414)',
    on: 'http',
    answer: z.object({
      issuer: z.string(),
      token_endpoint: z.string(),
      introspection_endpoint: z.string(),
      revocation_endpoint: z.string(),
      jwks_uri: z.string(),
      response_types_supported: z.array(z.string()),
      grant_types_supported: z.array(z.string()),
      token_endpoint_auth_methods_supported: z.array(z.string()),
      token_endpoint_auth_signing_alg_values_supported: z.array(z.string()),
      introspection_endpoint_auth_methods_supported: z.array(z.string()),
      introspection_endpoint_auth_signing_alg_values_supported: z.array(z.string()),
      revocation_endpoint_auth_methods_supported: z.array(z.string()),
      revocation_endpoint_auth_signing_alg_values_supported: z.array(z.string()),
      dpop_signing_alg_values_supported: z.array(z.string()),
      authorization_details_types_supported: z.array(z.string()),
    }),
  },
  listCredentialKeys: {
    method: 'GET',
    path: '/oauth/jwks',
    summary: 'The keys that sign credentials (RFC 7517)',
    on: 'http',
    answer: jwkSetSchema,
    gives: 'application/jwk-set+json',
  },
  issueToken: {
    method: 'POST',
    path: '/oauth/token',
    summary: 'A credential for one grant, or for a delegation (RFC 6749 §5.1, RFC 8693, RFC 9396, RFC 9449)',
    on: 'http',
    takes: 'application/x-www-form-urlencoded',
    body: z.union([
      grantTypeForm('client_credentials', clientCredentialsFormSchema),
      grantTypeForm('urn:ietf:params:oauth:grant-type:token-exchange', tokenExchangeFormSchema),
    ]),
    answer: z.object({
      access_token: z.string(),
      issued_token_type: z.literal(accessTokenType).optional(),
      token_type: z.literal('DPoP'),
      expires_in: z.int(),
      /** Our own member (RFC 6749 §5.1 lets clients ignore it): seconds since the epoch. */
      grant_expires_at: z.int(),
      authorization_details: z.array(z.record(z.string(), z.unknown())),
    }),
    refusal: 'oauth',
  },
  introspectToken: {
    method: 'POST',
    path: '/oauth/introspect',
    summary: 'The current state of a credential (RFC 7662)',
    on: 'http',
    takes: 'application/x-www-form-urlencoded',
    body: clientAssertionFormSchema.extend(tokenFormSchema.shape),
    answer: z.discriminatedUnion('active', [z.object({ active: z.literal(false) }), activeTokenSchema]),
    refusal: 'oauth',
  },
  revokeToken: {
    method: 'POST',
    path: '/oauth/revoke',
    summary: 'Ends a credential (RFC 7009)',
    on: 'http',
    takes: 'application/x-www-form-urlencoded',
    body: clientAssertionFormSchema.extend(tokenFormSchema.shape),
    empty: 200,
    refusal: 'oauth',
  },
  completeGrant: {
    method: 'POST',
    path: '/oauth/grants/:id/complete',
    summary: 'An agent says that its task is done; the answer means that the completion is durable and counts',
    on: 'http',
    params: z.object({ id: z.union([grantIdSchema, requestIdSchema]) }),
    answer: z.object({ grant_id: z.string(), state: z.string() }),
  },
  tellGrantState: {
    method: 'POST',
    path: '/oauth/grants/:id/state',
    summary: 'An agent asks whether its grant still lives, as a decision point judges it',
    on: 'http',
    params: z.object({ id: z.union([grantIdSchema, requestIdSchema]) }),
    answer: z.object({ grant_id: z.string(), state: z.enum(['live', 'suspended', 'ended']) }),
  },
  revokeDelegation: {
    method: 'POST',
    path: '/oauth/delegations/:id/revoke',
    summary: 'An agent ends what it passed on, or holds; the answer means that the revocation is durable and counts',
    on: 'http',
    params: z.object({ id: delegationIdSchema }),
    body: z.strictObject({ delegation: compactJwsSchema.optional() }),
    answer: z.object({ delegation_id: z.string(), revoked_sequence: z.int(), acknowledged_at: z.string() }),
  },
  offerJoinTokenToIssuer: {
    method: 'POST',
    path: '/operator/join-tokens/issuer',
    summary: 'The token endpoint accepts this join token once',
    on: 'operator',
    body: joinTokenOrderSchema,
    answer: joinTokenOfferSchema,
  },
  listKeys: {
    method: 'GET',
    path: '/operator/keys',
    summary: 'Every key of the services, past and present',
    on: 'operator',
    answer: z.object({ keys: z.array(keyStandingSchema) }),
  },
  registerKey: {
    method: 'POST',
    path: '/operator/keys',
    summary: 'Takes in a key that the root certified; the answer means that it is durable and counts',
    on: 'operator',
    body: z.strictObject({ value: entitySchemas['service-key'], jws: compactJwsSchema }),
    answer: keyStandingSchema,
  },
  moveKey: {
    method: 'POST',
    path: '/operator/keys/state',
    summary: 'Moves a key to its next state; the answer means that it is durable and counts',
    on: 'operator',
    body: z.strictObject({
      kid: z.string().length(43),
      state: keyStateSchema.extract(['active', 'tainted', 'revoked']),
    }),
    answer: keyStandingSchema,
  },
  registerRecovery: {
    method: 'POST',
    path: '/operator/recoveries',
    summary: 'Takes in a recovery that the root signed; it can be used a day later',
    on: 'operator',
    body: z.strictObject({ value: entitySchemas.recovery, jws: compactJwsSchema }),
    answer: z.object({ recovery: z.string(), approver_id: z.string(), usable_from: z.string() }),
  },
  revoke: {
    method: 'POST',
    path: '/operator/revocations',
    summary: 'Revokes what is named; the answer means that the revocation is durable and counts',
    on: 'operator',
    body: targetSchema.extend({
      /** Stands for the operator's own words, which approval keeps: what would be here could not be erased. */
      reason: saltedHashSchema.optional(),
      /** Answer when every live instance was heard to apply it, or after so many ms. */
      wait_ms: z.int().min(1).max(20_000).optional(),
    }),
    answer: z.object({
      kind: revocationKindSchema,
      target: z.string(),
      sequence: z.int(),
      /** False if it was already revoked: the log keeps the first reason. */
      is_new: z.boolean(),
      acknowledged_at: z.string(),
      /** Absent without `wait_ms`. */
      applied: z.array(appliedSchema).optional(),
    }),
  },
  previewRevocation: {
    method: 'POST',
    path: '/operator/revocations/preview',
    summary: 'What a revocation would end; it ends nothing',
    on: 'operator',
    body: targetSchema,
    answer: z.object({
      kind: revocationKindSchema,
      target: z.string(),
      /** The first of them; `grant_count` counts all. */
      grants: z.array(z.object({ grant_id: z.string(), agent: z.string(), task: z.string(), not_after: z.string() })),
      grant_count: z.int(),
      credentials: z.int(),
      delegations: z.int(),
    }),
  },
} as const satisfies Routes

export const issuerApi: Api = { title: 'Bailiwick issuer', routes: issuerRoutes }
