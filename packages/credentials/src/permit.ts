import { decisionIdSchema, grantIdSchema, nameSchema, sha256Schema } from '@bailiwick/contracts'
import { z } from 'zod'
import { signCompact, verifyCompact } from './jws.ts'
import type { SigningKey, VerifyingKey } from './keys.ts'
import { type Clocked, lifetimeProblem, livesAtMost, numericDateSchema } from './lifetime.ts'
import { refused, type Verified } from './verified.ts'

/** A permit's longest life, in seconds (DESIGN §7.4). */
export const longestPermitSeconds = 5

const permitSchema = z
  .strictObject({
    /** The PDP. */
    iss: z.string().min(1).max(2048),
    /** The enforcement point that asked. */
    aud: nameSchema,
    /** The decision. Counts once: the enforcement point remembers it. */
    jti: decisionIdSchema,
    iat: numericDateSchema,
    exp: numericDateSchema,
    action_digest: sha256Schema,
    grant: grantIdSchema,
    obligations: z.array(z.unknown()).max(16).optional(),
  })
  .refine(livesAtMost(longestPermitSeconds), { path: ['exp'] })

/** An ALLOW that an enforcement point can prove: for one action, once, within seconds. */
export type Permit = z.infer<typeof permitSchema>

/** Throws `invariant_broken` when the permit does not fit its schema, a life over 5 s included. */
export function signPermit(permit: Permit, key: SigningKey<'permit'>): string {
  return signCompact('permit', permitSchema, permit, key)
}

/**
 * Verifies a permit for the very action that is about to be executed: pass the digest of those bytes, not one that came
 * with the permit (V1). Single use is the caller's to remember, by `jti`.
 */
export function verifyPermit(
  options: {
    permit: string
    key: VerifyingKey<'permit'>
    issuer: string
    enforcementPoint: string
    actionDigest: string
  } & Clocked,
): Verified<Permit> {
  const verified = verifyCompact('permit', permitSchema, options.permit, options.key)
  if (!verified.ok) return verified
  const { iss, aud, action_digest } = verified.value
  if (iss !== options.issuer) return refused('token_audience_wrong', 'permit: iss')
  if (aud !== options.enforcementPoint) return refused('token_audience_wrong', 'permit: aud')
  if (action_digest !== options.actionDigest) return refused('token_audience_wrong', 'permit: another action')
  return lifetimeProblem(verified.value, options) ?? verified
}
