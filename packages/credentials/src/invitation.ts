import { base64urlSchema, installationSchema, lineSchema, nameSchema } from '@bailiwick/contracts'
import { z } from 'zod'
import { signCompact, verifyCompact } from './jws.ts'
import type { SigningKey, VerifyingKey } from './keys.ts'
import { refused, type Verified } from './verified.ts'

const invitationSchema = z.strictObject({
  installation: installationSchema,
  credential_id: base64urlSchema.max(1400),
  /** The COSE key, base64url. */
  public_key: base64urlSchema.max(2048),
  approver_id: nameSchema,
  name: lineSchema,
  groups: z.array(nameSchema).max(32),
})

/** The passkey that the invitation's holder assigns to the first approver. Counts once: the registry remembers. */
export type Invitation = z.infer<typeof invitationSchema>

/** Accepts an invitation for a passkey. A browser does the same with WebCrypto, with exactly `alg`, `kid`, `typ` in the header. */
export function signInvitation(invitation: Invitation, key: SigningKey<'invitation'>): string {
  return signCompact('invitation', invitationSchema, invitation, key)
}

/** Verifies an accepted invitation by the key in the trust anchor. */
export function verifyInvitation(options: {
  invitation: string
  key: VerifyingKey<'invitation'>
  installation: string
}): Verified<Invitation> {
  const verified = verifyCompact('invitation', invitationSchema, options.invitation, options.key)
  if (verified.ok && verified.value.installation !== options.installation)
    return refused('token_audience_wrong', 'invitation: another installation')
  return verified
}
