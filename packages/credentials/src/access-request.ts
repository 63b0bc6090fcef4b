import {
  grantIdSchema,
  installationSchema,
  modeSchema,
  saltedHashSchema,
  sha256Schema,
  spiffeIdSchema,
  timestampSchema,
} from '@bailiwick/contracts'
import { z } from 'zod'
import { signCompact, verifyCompact } from './jws.ts'
import type { SigningKey, VerifyingKey } from './keys.ts'
import { type Clocked, jtiSchema, lifetimeProblem, livesAtMost, numericDateSchema } from './lifetime.ts'
import { refused, type Verified } from './verified.ts'

const accessRequestSchema = z
  .strictObject({
    /** The installation that receives the request. */
    aud: installationSchema,
    /** The requesting instance: `<agent id>/<instance>`. */
    sub: spiffeIdSchema,
    iat: numericDateSchema,
    /** How long the signed request may still be submitted, not how long the grant lives. */
    exp: numericDateSchema,
    jti: jtiSchema,
    /** An object; the `authority` package judges its members. */
    authority: z.record(z.string(), z.unknown()),
    mode: modeSchema,
    not_before: timestampSchema.optional(),
    expires_in_seconds: z
      .int()
      .min(1)
      .max(8 * 3600)
      .optional(),
    not_after: timestampSchema.optional(),
    rebind: z.enum(['none', 'attested']).optional(),
    action_digest: sha256Schema.optional(),
    /** Salted hash of the text whose hash is `action_digest` (`actionText`); the text is sent next to the request. */
    arguments: saltedHashSchema.optional(),
    /** Asks for one more action of this live grant (step-up): the action of `action_digest`. */
    grant_id: grantIdSchema.optional(),
    /** The requestable denial that is answered, as signed by the decision point: no one else can present it as theirs. */
    binding_token_hash: sha256Schema.optional(),
    /** Where the result is sent; the agent's registration says which addresses are permitted. */
    callback: z.url().max(2048).optional(),
    purpose: saltedHashSchema.optional(),
  })
  .refine(livesAtMost(3600), { path: ['exp'] })
  .refine((c) => (c.expires_in_seconds === undefined) !== (c.not_after === undefined), { path: ['not_after'] })

/** An agent's access request (DESIGN §2), signed by the key of the instance that will hold the credential. */
export type AccessRequest = z.infer<typeof accessRequestSchema>

/** Throws `invariant_broken` if the request does not match its schema: `exp` is over an hour away, or there is not exactly one end. */
export function signAccessRequest(request: AccessRequest, key: SigningKey<'agent'>): string {
  return signCompact('accessRequest', accessRequestSchema, request, key)
}

/**
 * Verifies a request by the key that is registered for, or bound to, the instance that it names (`subject`). A request counts once: the
 * caller must remember it, by `jti` and key, to prevent replay.
 */
export function verifyAccessRequest(
  options: { request: string; key: VerifyingKey<'agent'>; subject: string; installation: string } & Clocked,
): Verified<AccessRequest> {
  const verified = verifyCompact('accessRequest', accessRequestSchema, options.request, options.key)
  if (!verified.ok) return verified
  const { aud, sub } = verified.value
  if (aud !== options.installation) return refused('token_audience_wrong', 'accessRequest: another installation')
  if (sub !== options.subject) return refused('key_unknown', 'accessRequest: the key of another instance')
  return lifetimeProblem(verified.value, options) ?? verified
}
