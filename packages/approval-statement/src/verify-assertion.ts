import { createHash } from 'node:crypto'
import type { Approver, Assertion, Statement } from '@bailiwick/contracts'
import { decodeBase64url, type Refused } from '@bailiwick/credentials'
import { verifyAuthenticationResponse } from '@simplewebauthn/server'
import { type ClientData, isFramed, parseClientData } from './client-data.ts'
import { isPasskeyKey } from './cose-key.ts'
import { refused } from './refused.ts'
import { statementHash } from './statement-hash.ts'

/** One passkey of an approver. `sign_count` is the newest value known to the caller. */
export type PasskeyRecord = Pick<Approver['credentials'][number], 'credential_id' | 'public_key' | 'sign_count'>

export interface ChallengeCheck {
  /** base64url of the bytes that the authenticator had to sign. */
  challenge: string
  assertion: Assertion
  /** The approver whose passkey it must be, as in the registry. */
  approver: Pick<Approver, 'credentials'>
  credential: PasskeyRecord
  rpId: string
  /** Compared exactly: scheme, host and port. */
  origins: readonly string[]
}

export type AssertionCheck = Omit<ChallengeCheck, 'challenge'> & { statement: Statement }

/**
 * Verifies that a person, present and verified, signed exactly this statement with this passkey (WebAuthn Level 3 §7.2). First come the
 * steps that the library leaves to us, or whose error text would repeat the sender's input; then the library judges everything, including
 * the signature. Never throws; `assertion_invalid` with the step that failed.
 */
export async function verifyAssertion({
  statement,
  ...check
}: AssertionCheck): Promise<{ ok: true; newSignCount: number } | Refused> {
  try {
    return await verifyChallenge({ ...check, challenge: statementHash(statement) })
  } catch {
    return refused('assertion_invalid', 'it cannot be read')
  }
}

/**
 * Like `verifyAssertion`, for a challenge that belongs to no statement: the signer is here, but has approved nothing. The challenge must be
 * random bytes that were given to one browser, once. Never throws.
 */
export async function verifyChallenge(check: ChallengeCheck): Promise<{ ok: true; newSignCount: number } | Refused> {
  try {
    const seen = look(check)
    if (typeof seen === 'string') return refused('assertion_invalid', seen)
    for (const [detail, holds] of steps) {
      if (!holds(seen)) return refused('assertion_invalid', detail)
    }
    return (await isSigned(check, seen))
      ? { ok: true, newSignCount: seen.signCount }
      : refused('assertion_invalid', 'signature: does not verify')
  } catch {
    return refused('assertion_invalid', 'it cannot be read')
  }
}

interface Seen extends ChallengeCheck {
  clientData: ClientData
  key: Uint8Array
  rpIdHash: Buffer
  flags: number
  signCount: number
}

// Authenticator data (WebAuthn Level 3 §6.1): 32 bytes of RP ID hash, flags, 4 bytes of counter, the rest for the library.
const userPresent = 0x01
const userVerified = 0x04

const steps: readonly [detail: string, holds: (seen: Seen) => boolean][] = [
  ['credential_id: another passkey', (seen) => seen.assertion.credential_id === seen.credential.credential_id],
  ['credential_id: not a passkey of this approver', (seen) => isOfApprover(seen)],
  ['public_key: not a key that passkeys may have', ({ key }) => isPasskeyKey(key)],
  ['client_data_json: type', ({ clientData }) => clientData.type === 'webauthn.get'],
  ['client_data_json: the challenge is not this statement', (seen) => seen.clientData.challenge === seen.challenge],
  ['client_data_json: origin', ({ clientData, origins }) => origins.includes(clientData.origin)],
  ['client_data_json: framed by another page', ({ clientData }) => !isFramed(clientData)],
  ['authenticator_data: another relying party', ({ rpIdHash, rpId }) => rpIdHash.equals(sha256(rpId))],
  ['authenticator_data: the user was not present', ({ flags }) => (flags & userPresent) !== 0],
  ['authenticator_data: the user was not verified', ({ flags }) => (flags & userVerified) !== 0],
  // A counter that does not increase reveals a copied authenticator (§6.1.1); synced passkeys stay at 0.
  ['authenticator_data: sign count', ({ signCount, credential }) => grows(credential.sign_count, signCount)],
]

function look(check: ChallengeCheck): Seen | string {
  const { assertion, credential } = check
  const clientData = parseClientData(assertion.client_data_json)
  if (clientData === undefined) return 'client_data_json: it cannot be read'
  const authenticator = decodeBase64url(assertion.authenticator_data)
  if (authenticator === undefined || authenticator.length < 37) return 'authenticator_data: it cannot be read'
  const key = decodeBase64url(credential.public_key)
  if (key === undefined) return 'public_key: it cannot be read'
  const signature = decodeBase64url(assertion.signature)
  if (signature === undefined || !isStrictSignature(key, signature)) return 'signature: it cannot be read'
  const bytes = Buffer.from(authenticator)
  return {
    ...check,
    clientData,
    key,
    rpIdHash: bytes.subarray(0, 32),
    flags: bytes.readUInt8(32),
    signCount: bytes.readUInt32BE(33),
  }
}

/**
 * ECDSA signatures are encoded in DER (WebAuthn Level 3 §6.5.5), and the library does not check its two lengths against the actual bytes.
 * Checking them here leaves each signature one spelling. `key` is a COSE key in CTAP2's canonical form: key type first.
 */
function isStrictSignature(key: Uint8Array, signature: Uint8Array): boolean {
  const isEc2 = key[1] === 0x01 && key[2] === 0x02
  if (!isEc2) return true
  const r = signature[3] ?? 0
  const s = signature[5 + r] ?? 0
  return (
    signature[0] === 0x30 &&
    signature[1] === signature.length - 2 &&
    signature[2] === 0x02 &&
    signature[4 + r] === 0x02 &&
    signature.length === 6 + r + s
  )
}

async function isSigned(
  { assertion, credential, rpId, origins, challenge }: ChallengeCheck,
  { key }: Seen,
): Promise<boolean> {
  const { verified, authenticationInfo } = await verifyAuthenticationResponse({
    response: {
      id: assertion.credential_id,
      rawId: assertion.credential_id,
      type: 'public-key',
      clientExtensionResults: {},
      response: {
        clientDataJSON: assertion.client_data_json,
        authenticatorData: assertion.authenticator_data,
        signature: assertion.signature,
      },
    },
    expectedChallenge: challenge,
    expectedOrigin: [...origins],
    expectedRPID: rpId,
    credential: { id: credential.credential_id, publicKey: Uint8Array.from(key), counter: credential.sign_count },
    requireUserVerification: true,
  })
  return (
    verified === true && authenticationInfo.userVerified && authenticationInfo.credentialID === assertion.credential_id
  )
}

function isOfApprover({ approver, credential }: Seen): boolean {
  return approver.credentials.some(
    (own) => own.credential_id === credential.credential_id && own.public_key === credential.public_key,
  )
}

function grows(stored: number, signCount: number): boolean {
  return stored === 0 || signCount > stored
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
