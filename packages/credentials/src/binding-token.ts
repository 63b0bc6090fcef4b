import { actionSchema, decisionIdSchema, grantIdSchema, installationSchema, spiffeIdSchema } from '@bailiwick/contracts'
import { z } from 'zod'
import { signCompact, verifyCompact } from './jws.ts'
import type { SigningKey, VerifyingKey } from './keys.ts'
import { type Clocked, lifetimeProblem, livesAtMost, numericDateSchema } from './lifetime.ts'
import { refused, type Verified } from './verified.ts'

/** How long a request may answer a denial, in seconds. */
export const longestBindingSeconds = 900

const bindingTokenSchema = z
  .strictObject({
    /** The PDP. */
    iss: z.string().min(1).max(2048),
    /** The installation whose approval service may accept it. */
    aud: installationSchema,
    /** The denial. */
    jti: decisionIdSchema,
    iat: numericDateSchema,
    exp: numericDateSchema,
    /** Why it was denied, as in `decision.denied`. */
    reason: z.string().regex(/^[a-z]+(_[a-z]+)*$/),
    /** The instance whose call was denied; absent if the caller was not authenticated. */
    sub: spiffeIdSchema.optional(),
    /** The denied action; absent when it could not be read. */
    action: actionSchema.optional(),
    /** The live grant that lacked only a human's approval of this action. */
    grant: grantIdSchema.optional(),
    /** `task`: `grant` lapsed, so a person must let the task go on. Absent, or `action`: only this action lacks an approval. */
    needs: z.enum(['action', 'task']).optional(),
  })
  .refine(livesAtMost(longestBindingSeconds), { path: ['exp'] })

/** The subject of a requestable denial (AuthZEN Access Request and Approval Profile, Draft 1, "Requestable Denial Context"). */
export type BindingToken = z.infer<typeof bindingTokenSchema>

/** Throws `invariant_broken` if the token does not match its schema. */
export function signBindingToken(token: BindingToken, key: SigningKey<'binding-token'>): string {
  return signCompact('bindingToken', bindingTokenSchema, token, key)
}

/** Verifies a denial's binding token for this installation. The caller must compare the presenter with `sub`. */
export function verifyBindingToken(
  options: { token: string; key: VerifyingKey<'binding-token'>; installation: string } & Clocked,
): Verified<BindingToken> {
  const verified = verifyCompact('bindingToken', bindingTokenSchema, options.token, options.key)
  if (!verified.ok) return verified
  if (verified.value.aud !== options.installation) return refused('token_audience_wrong', 'bindingToken: aud')
  return lifetimeProblem(verified.value, options) ?? verified
}
