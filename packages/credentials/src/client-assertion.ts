import { nameSchema, spiffeIdSchema } from '@bailiwick/contracts'
import { z } from 'zod'
import { signCompact, verifyCompact } from './jws.ts'
import type { SigningKey, VerifyingKey } from './keys.ts'
import type { PurposeOf } from './kinds.ts'
import { type Clocked, jtiSchema, lifetimeProblem, numericDateSchema } from './lifetime.ts'
import { refused, type Verified } from './verified.ts'

/** How far ahead the `exp` of a client assertion may be. */
export const longestAssertionSeconds = 300

/** The SPIFFE ID of an agent's instance, or the registry's name of a client that may introspect credentials. */
const clientIdSchema = z.union([spiffeIdSchema, nameSchema])

// Clients by other vendors make these too, so unknown members are allowed, as RFC 7523 §3 requires.
const clientAssertionSchema = z.looseObject({
  iss: clientIdSchema,
  sub: clientIdSchema,
  aud: z.union([z.string().min(1).max(2048), z.tuple([z.string().min(1).max(2048)])]),
  exp: numericDateSchema,
  iat: numericDateSchema.optional(),
  nbf: numericDateSchema.optional(),
  jti: jtiSchema,
})

/** A client's proof of identity at the issuer's OAuth endpoints: `private_key_jwt` (RFC 7523 §2.2). `iss` = `sub` = its client id. */
export type ClientAssertion = Pick<z.infer<typeof clientAssertionSchema>, 'iss' | 'sub' | 'aud' | 'exp' | 'iat' | 'jti'>

/** Throws `invariant_broken` if the claims do not match their schema. */
export function signClientAssertion(assertion: ClientAssertion, key: SigningKey<PurposeOf<'clientAssertion'>>): string {
  return signCompact('clientAssertion', clientAssertionSchema, assertion, key)
}

/**
 * Verifies a client's assertion by the key that is registered for it. `audiences` are this server's names: its issuer identifier (RFC
 * 7523bis) and its token endpoint. `aud` must be exactly one of them and nothing else; otherwise an assertion made for another server could
 * be passed on. It lives at most 5 minutes from `now`. The caller must remember it to prevent replay.
 */
export function verifyClientAssertion(
  options: {
    assertion: string
    key: VerifyingKey<PurposeOf<'clientAssertion'>>
    clientId: string
    audiences: readonly string[]
  } & Clocked,
): Verified<{ clientId: string; jti: string; exp: number; iat: number | undefined }> {
  const rules = { foreign: true, otherTyps: ['JWT', undefined] }
  const verified = verifyCompact('clientAssertion', clientAssertionSchema, options.assertion, options.key, rules)
  if (!verified.ok) return verified
  const { iss, sub, aud, exp, iat, jti } = verified.value
  if (iss !== options.clientId || sub !== options.clientId)
    return refused('key_unknown', 'clientAssertion: the key of another client')
  const audience = typeof aud === 'string' ? aud : aud[0]
  if (!options.audiences.includes(audience)) return refused('token_audience_wrong', 'clientAssertion: aud')
  const problem = lifetimeProblem(verified.value, options)
  if (problem !== undefined) return problem
  if (!(exp * 1000 <= options.now + longestAssertionSeconds * 1000 + options.leewayMs))
    return refused('token_life_too_long', `clientAssertion: exp is over ${longestAssertionSeconds} s away`)
  return { ok: true, value: { clientId: iss, jti, exp, iat } }
}

/**
 * Whether an assertion may have been used before `countsSince` (ms since the epoch), when this server began to remember used ones. An
 * assertion without its time of creation is assumed to be as old as the longest life allows.
 */
export function mayHaveCounted(
  { exp, iat }: { exp: number; iat: number | undefined },
  countsSince: number,
  leewayMs: number,
): boolean {
  return !(iat === undefined
    ? exp * 1000 > countsSince + longestAssertionSeconds * 1000 + leewayMs
    : iat * 1000 >= countsSince)
}

/**
 * The time since which a server that starts at `now` counts assertions (both ms since the epoch). Assertions used at an earlier instance
 * are not remembered, however that instance ended, and their maker's clock may be ahead of this one by the leeway. `isFirst`: there was no
 * earlier instance.
 */
export const countsFrom = (now: number, { isFirst, leewayMs }: { isFirst: boolean; leewayMs: number }): number =>
  isFirst ? 0 : now + leewayMs + 1
