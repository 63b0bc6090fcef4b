import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import type { Assertion } from '@bailiwick/contracts'

/** The statements of the browser and the authenticator; true by default. */
export interface Said {
  rpId: string
  origin: string
  userVerified?: boolean
  /** Stays at 0 unless given, like that of a synced passkey. */
  signCount?: number
}

export interface TestPasskey {
  id: string
  /** The COSE key, base64url. */
  publicKey: string
  /** A RegistrationResponseJSON, attestation `none`. */
  register(challenge: string, said?: Partial<Said>): Record<string, unknown>
  sign(challenge: string, said?: Partial<Said>): Assertion
}

/** A browser with an authenticator: an ES256 passkey, made by hand, since a real authenticator would not do what an attacker does. */
export function aPasskey(site: Said): TestPasskey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
  const id = randomBytes(32)
  // COSE (RFC 9053 §7.1.1) in CBOR: { 1: 2 (EC2), 3: -7 (ES256), -1: 1 (P-256), -2: x, -3: y }
  const cose = Buffer.concat([hex('a5010203262001215820'), base64url(x), hex('225820'), base64url(y)])
  return {
    id: id.toString('base64url'),
    publicKey: cose.toString('base64url'),
    register(challenge, said) {
      // WebAuthn Level 3 §6.5.2: AAGUID, length of the credential id, the credential id, the key.
      const attested = Buffer.concat([Buffer.alloc(16), Buffer.from([0, id.length]), id, cose])
      const authData = authenticatorData({ ...site, ...said }, 0x40, attested)
      // §6.5.4 in CBOR: { fmt: 'none', attStmt: {}, authData }
      const object = [hex('a363666d74646e6f6e656761747453746d74a068617574684461746158'), Buffer.from([authData.length])]
      return {
        id: id.toString('base64url'),
        rawId: id.toString('base64url'),
        type: 'public-key',
        clientExtensionResults: {},
        response: {
          clientDataJSON: clientData('webauthn.create', challenge, { ...site, ...said }).toString('base64url'),
          attestationObject: Buffer.concat([...object, authData]).toString('base64url'),
        },
      }
    },
    sign(challenge, said) {
      const browser = clientData('webauthn.get', challenge, { ...site, ...said })
      const authenticator = authenticatorData({ ...site, ...said }, 0)
      return {
        credential_id: id.toString('base64url'),
        authenticator_data: authenticator.toString('base64url'),
        client_data_json: browser.toString('base64url'),
        signature: sign('sha256', Buffer.concat([authenticator, sha256(browser)]), privateKey).toString('base64url'),
      }
    },
  }
}

/** WebAuthn Level 3 §5.8.1. */
function clientData(type: string, challenge: string, { origin }: Said): Buffer {
  return Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin: false }))
}

/** WebAuthn Level 3 §6.1: RP ID hash, flags, counter. */
function authenticatorData(said: Said, flags: number, more = Buffer.alloc(0)): Buffer {
  const { rpId, userVerified = true, signCount = 0 } = said
  const tail = Buffer.alloc(5)
  tail.writeUInt8(flags | 0x01 | (userVerified ? 0x04 : 0))
  tail.writeUInt32BE(signCount, 1)
  return Buffer.concat([sha256(rpId), tail, more])
}

const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest()
const hex = (text: string) => Buffer.from(text, 'hex')
const base64url = (text: string) => Buffer.from(text, 'base64url')
