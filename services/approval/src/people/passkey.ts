import { verifyChallenge } from '@bailiwick/approval-statement'
import { type Approver, type Assertion, assertionSchema } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { z } from 'zod'
import type { Approval } from '../context.ts'

/** AuthenticationResponseJSON (WebAuthn Level 3 §5.1.7), as a browser's `toJSON()` gives it. */
const browserAssertionSchema = z
  .object({
    id: assertionSchema.shape.credential_id,
    rawId: assertionSchema.shape.credential_id,
    type: z.literal('public-key'),
    response: z.object({
      authenticatorData: assertionSchema.shape.authenticator_data,
      clientDataJSON: assertionSchema.shape.client_data_json,
      signature: assertionSchema.shape.signature,
    }),
  })
  .refine(({ id, rawId }) => id === rawId, 'id: is not rawId')
  .transform(
    ({ id, response }): Assertion => ({
      credential_id: id,
      authenticator_data: response.authenticatorData,
      client_data_json: response.clientDataJSON,
      signature: response.signature,
    }),
  )

/** An assertion in the spelling of browsers, or in that of our events. */
export const sentAssertionSchema = z.union([assertionSchema, browserAssertionSchema])

/** The person who signed this challenge of ours to sign in. Throws `approver_unknown`, `assertion_invalid`. */
export async function whoSigned(
  { projection, trust, signCounts }: Approval,
  challenge: string,
  assertion: Assertion,
): Promise<Approver> {
  const known = projection.ledger.registry.passkey(assertion.credential_id)
  if (!known) throw new ServiceError('approver_unknown')
  const { approver, credential } = known
  const verified = await verifyChallenge({
    challenge,
    assertion,
    approver,
    credential: signCounts.current(credential),
    rpId: trust.rp_id,
    origins: trust.origins,
  })
  if (!verified.ok) throw new ServiceError(verified.code, verified.detail)
  signCounts.saw(assertion)
  return approver
}
