import { base64urlSchema } from '@bailiwick/contracts'
import { decodeBase64url, encodeBase64url, type Refused } from '@bailiwick/credentials'
import { verifyRegistrationResponse } from '@simplewebauthn/server'
import { decodeAttestationObject } from '@simplewebauthn/server/helpers'
import { z } from 'zod'
import { isFramed, parseClientData } from './client-data.ts'
import { isPasskeyKey, passkeyAlgorithms } from './cose-key.ts'
import { refused } from './refused.ts'

const responseSchema = z.object({
  id: base64urlSchema.max(1400),
  rawId: base64urlSchema.max(1400),
  type: z.literal('public-key'),
  response: z.object({
    clientDataJSON: base64urlSchema.max(4096),
    attestationObject: base64urlSchema.max(16_384),
  }),
})

/** A passkey as stored in `approver.credentials`. */
export interface RegisteredPasskey {
  credential_id: string
  /** The COSE key, base64url. */
  public_key: string
  sign_count: number
}

/**
 * Verifies a RegistrationResponseJSON (WebAuthn Level 3 §7.1) that a browser sent for our `challenge` (base64url of the bytes that were
 * given to it), with the user present and verified. The caller must have requested attestation `none`. A certificate is refused, because
 * the library would fetch the revocation list that it names, from any address that it names. Never throws; `registration_invalid` with the
 * step that failed.
 */
export async function verifyRegistration(check: {
  response: unknown
  challenge: string
  rpId: string
  origins: readonly string[]
}): Promise<{ ok: true; passkey: RegisteredPasskey } | Refused> {
  const parsed = responseSchema.safeParse(check.response)
  if (!parsed.success) return invalid('it does not match its schema')
  const { id, rawId, type, response } = parsed.data
  const clientData = parseClientData(response.clientDataJSON)
  if (clientData === undefined) return invalid('clientDataJSON: it cannot be read')
  if (id !== rawId) return invalid('id: is not rawId')
  if (clientData.type !== 'webauthn.create') return invalid('clientDataJSON: type')
  if (clientData.challenge !== check.challenge) return invalid('clientDataJSON: challenge')
  if (!check.origins.includes(clientData.origin)) return invalid('clientDataJSON: origin')
  if (isFramed(clientData)) return invalid('clientDataJSON: framed by another page')
  try {
    if (bringsCertificate(response.attestationObject)) return invalid('attestationObject: attestation is not none')
    const { verified, registrationInfo } = await verifyRegistrationResponse({
      response: { id, rawId, type, clientExtensionResults: {}, response },
      expectedChallenge: check.challenge,
      expectedOrigin: [...check.origins],
      expectedRPID: check.rpId,
      requireUserPresence: true,
      requireUserVerification: true,
      supportedAlgorithmIDs: passkeyAlgorithms,
    })
    if (!verified) return invalid('attestationObject: does not verify')
    const { credential } = registrationInfo
    // The browser reports one id, the authenticator the other: a passkey is identified by the authenticator's.
    if (credential.id !== id) return invalid('id: another passkey')
    if (!isPasskeyKey(credential.publicKey)) return invalid('attestationObject: not a key that passkeys may have')
    const passkey = {
      credential_id: id,
      public_key: encodeBase64url(credential.publicKey),
      sign_count: credential.counter,
    }
    return { ok: true, passkey }
  } catch {
    return invalid('attestationObject: does not verify')
  }
}

/** Everything except `none` and self attestation, which some authenticators give unasked (WebAuthn Level 3 §5.1.3 step 22). */
function bringsCertificate(attestationObject: string): boolean {
  const bytes = decodeBase64url(attestationObject)
  if (bytes === undefined) return true
  const attestation = decodeAttestationObject(Uint8Array.from(bytes))
  const format = attestation.get('fmt')
  if (format === 'packed') return attestation.get('attStmt').get('x5c') !== undefined
  return format !== 'none'
}

function invalid(detail: string): Refused {
  return refused('registration_invalid', detail)
}
