import {
  credentialIdSchema,
  delegationIdSchema,
  grantIdSchema,
  modeSchema,
  mostBetween,
  requestIdSchema,
  sha256Schema,
  spiffeIdSchema,
  thumbprintSchema,
} from '@bailiwick/contracts'
import { z } from 'zod'
import { frozen } from './frozen.ts'
import { signCompact, signCompactBy, verifyCompact } from './jws.ts'
import type { SigningKey, VerifyingKey } from './keys.ts'
import { mayBeSignedFor } from './kinds.ts'
import { type Clocked, lifetimeProblem, livesAtMost, numericDateSchema } from './lifetime.ts'
import type { Signer } from './signer.ts'
import { refused, type Verified } from './verified.ts'

/** A credential's longest life, in seconds, for every signer (DESIGN §7.3). */
export const longestCredentialSeconds = 600

const audienceSchema = z.string().min(1).max(2048)

/** RFC 8693 §4.1: the outermost actor acts now. Further in are those who passed the authority on; the innermost was the first. */
export interface Actor {
  sub: string
  act?: Actor | undefined
}

const actorSchema: z.ZodType<Actor> = z.strictObject({
  sub: spiffeIdSchema,
  get act() {
    return actorSchema.optional()
  },
})

const actorsOf = (act: Actor | undefined): number => (act === undefined ? 0 : 1 + actorsOf(act.act))

const accessTokenSchema = z
  .strictObject({
    iss: z.string().min(1).max(2048),
    aud: z.union([audienceSchema, z.array(audienceSchema).min(1).max(8)]),
    /** The agent that holds the grant; the humans are named in the statement. */
    sub: spiffeIdSchema,
    /** The instance that requested it and holds the key. */
    client_id: spiffeIdSchema,
    iat: numericDateSchema,
    exp: numericDateSchema,
    jti: credentialIdSchema,
    cnf: z.strictObject({ jkt: thumbprintSchema }),
    /** Objects; the `authority` package judges their members. */
    authorization_details: z.array(z.record(z.string(), z.unknown())).min(1).max(16),
    grant: z.strictObject({
      id: grantIdSchema,
      root: grantIdSchema,
      request: requestIdSchema,
      mode: modeSchema,
      statement_hash: sha256Schema,
      as_of: z.int().min(0),
      /** The delegation under which `act` acts: the last link of its chain. */
      delegation: delegationIdSchema.optional(),
    }),
    act: actorSchema.optional(),
  })
  .refine(({ act }) => actorsOf(act) <= mostBetween + 1, { path: ['act'] })
  .refine(livesAtMost(longestCredentialSeconds), { path: ['exp'] })

/** The claims of a credential: RFC 9068 with RFC 9396, bound to a key (RFC 9449 §6.1). Never a bearer token. */
export type AccessToken = z.infer<typeof accessTokenSchema>

/** Throws `invariant_broken` if the claims do not match their schema, including a life over 10 minutes. */
export function signAccessToken(claims: AccessToken, key: SigningKey<'credential'>): string {
  return signCompact('accessToken', accessTokenSchema, claims, key)
}

/** Like `signAccessToken`, with the issuer's signer. */
export function signAccessTokenBy(claims: AccessToken, signer: Signer<'credential'>): Promise<string> {
  return signCompactBy('accessToken', accessTokenSchema, claims, signer)
}

/** `leewayMs`: how far the issuer's clock may be ahead, so that a newly signed credential is already valid. `exp` is exact. */
type Verification = { token: string; key: VerifyingKey<'credential'>; issuer: string } & Clocked

/**
 * Verifies a credential by a key certified for `credential`. It does not prove possession: the caller must compare `cnf.jkt` with the `jkt`
 * of the proof that came with it (V11), and must check that grant and intent are alive.
 */
export function verifyAccessToken(options: Verification & { audience: string }): Verified<AccessToken> {
  const verified = readOwnAccessToken(options)
  if (!verified.ok) return verified
  const { aud } = verified.value
  const meant = typeof aud === 'string' ? aud === options.audience : aud.includes(options.audience)
  return meant ? verified : refused('token_audience_wrong', 'accessToken: aud')
}

/**
 * Like `verifyAccessToken`, for the issuer that made the credential and is asked about its state: any audience is accepted. Before acting
 * on the result, check `aud`.
 */
export function readOwnAccessToken(options: Verification): Verified<AccessToken> {
  const verified = verifyOnce(options.token, options.key)
  if (!verified.ok) return verified
  if (verified.value.iss !== options.issuer) return refused('token_audience_wrong', 'accessToken: iss')
  const { now } = options
  const { exp } = verified.value
  return lifetimeProblem(verified.value, options) ?? lifetimeProblem({ exp }, { now, leewayMs: 0 }) ?? verified
}

/**
 * An agent shows the same credential with every call for minutes, and its signed content does not change, so each key verifies it once. An
 * entry is named by the credential's full text and by the thumbprint that determines the key, so it is correct or absent. Only verified
 * credentials are kept, and the oldest goes first. Pure: a memo, not state; whether key and credential are valid now is checked each time.
 */
const verifiedTokens = new Map<string, Verified<AccessToken> & { ok: true }>()
const rememberedTokens = 4096

function verifyOnce(token: string, key: VerifyingKey<'credential'>): Verified<AccessToken> {
  // An untyped caller must not reach the memo with a value that could be mistaken for a string, or with a key of another purpose (V12).
  if (typeof token !== 'string' || !mayBeSignedFor('accessToken', key.purpose))
    return verifyCompact('accessToken', accessTokenSchema, token, key)
  const name = `${key.kid} ${token}`
  const known = verifiedTokens.get(name)
  if (known !== undefined) return known
  const verified = verifyCompact('accessToken', accessTokenSchema, token, key)
  if (!verified.ok) return verified
  verifiedTokens.set(name, { ok: true, value: frozen(verified.value) })
  if (verifiedTokens.size > rememberedTokens) verifiedTokens.delete(verifiedTokens.keys().next().value ?? name)
  return verified
}
