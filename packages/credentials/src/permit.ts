import { decisionIdSchema, grantIdSchema, nameSchema, pointInstanceSchema, sha256Schema } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { z } from 'zod'
import { signCompact, verifyCompact } from './jws.ts'
import type { SigningKey, VerifyingKey } from './keys.ts'
import { type Clocked, lifetimeProblem, livesAtMost, numericDateSchema } from './lifetime.ts'
import { saltedHash } from './salted-text.ts'
import { refused, type Verified } from './verified.ts'

/** A permit's longest life, in seconds (DESIGN §7.4). */
export const longestPermitSeconds = 5

const permitSchema = z
  .strictObject({
    /** The PDP. */
    iss: z.string().min(1).max(2048),
    /** The enforcement point that asked. */
    aud: nameSchema,
    /** The start of the point that asked: no other start may use this. Absent if it stated none. */
    instance: pointInstanceSchema.optional(),
    /** The decision. Counts once: the enforcement point remembers it. */
    jti: decisionIdSchema,
    iat: numericDateSchema,
    exp: numericDateSchema,
    action_digest: sha256Schema,
    /**
     * 16 bytes, with one valid spelling: event and outcome identify the action by the hash of this salt and its text. Absent: by its
     * digest.
     */
    action_salt: z
      .string()
      .regex(/^[\w-]{21}[AQgw]$/)
      .optional(),
    grant: grantIdSchema,
    obligations: z.array(z.unknown()).max(16).optional(),
  })
  .refine(livesAtMost(longestPermitSeconds), { path: ['exp'] })

/** An ALLOW that an enforcement point can prove: for one action, once, within seconds. */
export type Permit = z.infer<typeof permitSchema>

/**
 * Identifies a permitted action in the decision's event and in its outcome; `text` is the action's (`actionText`). Throws
 * `invariant_broken` for an invalid salt: the digest must not be used instead, because it can be guessed from.
 */
export function permittedHash(
  { action_digest, action_salt: salt }: Pick<Permit, 'action_digest' | 'action_salt'>,
  text: string,
): string {
  const hash = salt === undefined ? action_digest : saltedHash({ salt, text })
  if (hash === undefined) throw new ServiceError('invariant_broken', 'a salt is not 16 bytes')
  return hash
}

/** Throws `invariant_broken` if the permit does not match its schema, including a life over 5 s. */
export function signPermit(permit: Permit, key: SigningKey<'permit'>): string {
  return signCompact('permit', permitSchema, permit, key)
}

/**
 * Verifies a permit for the exact action that is about to be executed: pass the digest of those bytes, not one that came with the permit
 * (V1). The caller must ensure single use by remembering `jti`.
 */
export function verifyPermit(
  options: {
    permit: string
    key: VerifyingKey<'permit'>
    issuer: string
    enforcementPoint: string
    /** The start of this point that verifies; undefined: it stated none. */
    instance: string | undefined
    actionDigest: string
  } & Clocked,
): Verified<Permit> {
  const verified = verifyCompact('permit', permitSchema, options.permit, options.key)
  if (!verified.ok) return verified
  const { iss, aud, instance, action_digest } = verified.value
  if (iss !== options.issuer) return refused('token_audience_wrong', 'permit: iss')
  if (aud !== options.enforcementPoint) return refused('token_audience_wrong', 'permit: aud')
  if (instance !== options.instance) return refused('token_audience_wrong', 'permit: another instance')
  if (action_digest !== options.actionDigest) return refused('token_audience_wrong', 'permit: another action')
  return lifetimeProblem(verified.value, options) ?? verified
}
