import { nameSchema, pointInstanceSchema } from '@bailiwick/contracts'
import { z } from 'zod'
import { signCompact, verifyCompact } from './jws.ts'
import type { SigningKey, VerifyingKey } from './keys.ts'
import { type Clocked, jtiSchema, lifetimeProblem, livesAtMost, numericDateSchema } from './lifetime.ts'
import { refused, type Verified } from './verified.ts'

const callerAssertionSchema = z
  .strictObject({
    iss: nameSchema,
    sub: nameSchema,
    aud: z.string().min(1).max(2048),
    iat: numericDateSchema,
    exp: numericDateSchema,
    jti: jtiSchema,
    /** The start of the enforcement point that asks. Absent: it has no instances, and must be one process. */
    instance: pointInstanceSchema.optional(),
  })
  .refine((c) => c.iss === c.sub, { path: ['sub'] })
  .refine(livesAtMost(60), { path: ['exp'] })

/** An enforcement point's proof of identity: `iss` = `sub` = its id, `aud` the PDP's public URL, at most 60 s of life. */
export type CallerAssertion = z.infer<typeof callerAssertionSchema>

/** Throws `invariant_broken` if the claims do not match their schema. */
export function signCallerAssertion(assertion: CallerAssertion, key: SigningKey<'pep-caller'>): string {
  return signCompact('callerAssertion', callerAssertionSchema, assertion, key)
}

/** Verifies an assertion by the caller key of the enforcement point that it claims to come from. */
export function verifyCallerAssertion(
  options: { assertion: string; key: VerifyingKey<'pep-caller'>; enforcementPoint: string; audience: string } & Clocked,
): Verified<CallerAssertion> {
  const verified = verifyCompact('callerAssertion', callerAssertionSchema, options.assertion, options.key)
  if (!verified.ok) return verified
  const { iss, aud } = verified.value
  if (iss !== options.enforcementPoint)
    return refused('key_unknown', "callerAssertion: another enforcement point's key")
  if (aud !== options.audience) return refused('token_audience_wrong', 'callerAssertion: aud')
  return lifetimeProblem(verified.value, options) ?? verified
}
