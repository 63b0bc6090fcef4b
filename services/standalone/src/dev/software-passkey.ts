import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import type { Assertion } from '@bailiwick/contracts'

/** What `verifyRegistration` takes: a RegistrationResponseJSON (WebAuthn Level 3 §5.1.8). */
export interface RegistrationResponse {
  id: string
  rawId: string
  type: 'public-key'
  clientExtensionResults: Record<string, never>
  response: { clientDataJSON: string; attestationObject: string; transports: string[] }
}

/** The lies of a browser or an authenticator, for abuse tests. Members that are not given stay honest. */
export interface PasskeyLies {
  /** The browser's statements. */
  type?: string
  origin?: string
  crossOrigin?: boolean
  topOrigin?: string
  /** The authenticator's statements, which it signs. */
  rpId?: string
  userPresent?: boolean
  userVerified?: boolean
  signCount?: number
  /** Replaces the bytes of the browser or the authenticator; the result is signed. */
  clientData?: (bytes: Buffer) => Buffer
  authenticatorData?: (bytes: Buffer) => Buffer
  /** Signs in another way, or with another key. */
  signature?: (signed: Buffer, privateKey: KeyObject) => Buffer
}

/** A passkey as a browser's virtual authenticator takes it (CDP, `WebAuthn.addCredential`); bytes in base64, the key as PKCS #8. */
export interface ExportedPasskey {
  credentialId: string
  isResidentCredential: true
  rpId: string
  privateKey: string
  signCount: number
}

/** A browser with an authenticator, in software: genuine WebAuthn ceremonies without a person. For `bailiwick dev`, the demo and tests. */
export interface SoftwarePasskey {
  /** Makes a new ES256 passkey, attestation `none`. `challenge` are the bytes that the server chose. */
  register(challenge: Uint8Array, user?: { id: string; name: string }): RegistrationResponse
  /**
   * Signs with a passkey that was registered here: the named one, or otherwise the newest. Its counter grows by one
   * each time, as a security key's does. Throws when there is none.
   */
  sign(challenge: Uint8Array, credentialId?: string): Assertion
  /** The newest passkey. Throws when there is none. */
  exported(): ExportedPasskey
  /** The same passkeys behind a browser and an authenticator that lie. */
  raw(lies: PasskeyLies): SoftwarePasskey
}

interface Passkey {
  id: Buffer
  privateKey: KeyObject
  coseKey: Buffer
  signCount: number
}

/** `origin` is the console's own: scheme, host, port. `rpId` is its host or a parent domain; `localhost` is one. */
export function softwarePasskey(site: { rpId: string; origin: string }): SoftwarePasskey {
  return passkeysOf(new Map(), site, {})
}

function passkeysOf(
  passkeys: Map<string, Passkey>,
  site: { rpId: string; origin: string },
  lies: PasskeyLies,
): SoftwarePasskey {
  const said = { ...site, ...lies }
  return {
    register(challenge) {
      const passkey = newPasskey()
      const id = passkey.id.toString('base64url')
      passkeys.set(id, passkey)
      const authData = Buffer.concat([
        authenticatorData(said, passkey.signCount, attestedCredentialData),
        // WebAuthn Level 3 §6.5.2: AAGUID, length of the credential id, the credential id, the key.
        Buffer.alloc(16),
        Buffer.from([0, passkey.id.length]),
        passkey.id,
        passkey.coseKey,
      ])
      return {
        id,
        rawId: id,
        type: 'public-key',
        clientExtensionResults: {},
        response: {
          clientDataJSON: clientData('webauthn.create', challenge, said).toString('base64url'),
          attestationObject: attestationObject(authData).toString('base64url'),
          transports: ['internal'],
        },
      }
    },
    sign(challenge, credentialId = [...passkeys.keys()].at(-1) ?? '') {
      const passkey = passkeys.get(credentialId)
      if (passkey === undefined) throw new Error('no such passkey was registered here')
      passkey.signCount++
      const { clientData: otherBrowser = asIs, authenticatorData: otherAuthenticator = asIs } = said
      const browser = otherBrowser(clientData('webauthn.get', challenge, said))
      const authenticator = otherAuthenticator(authenticatorData(said, passkey.signCount, 0))
      const { signature: signs = signEs256 } = said
      const signature = signs(Buffer.concat([authenticator, sha256(browser)]), passkey.privateKey)
      return {
        credential_id: credentialId,
        authenticator_data: authenticator.toString('base64url'),
        client_data_json: browser.toString('base64url'),
        signature: signature.toString('base64url'),
      }
    },
    exported() {
      const [passkey] = [...passkeys.values()].slice(-1)
      if (passkey === undefined) throw new Error('no passkey was registered here')
      return {
        credentialId: passkey.id.toString('base64'),
        isResidentCredential: true,
        rpId: said.rpId,
        privateKey: passkey.privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
        signCount: said.signCount ?? passkey.signCount,
      }
    },
    raw: (more) => passkeysOf(passkeys, site, { ...lies, ...more }),
  }
}

function newPasskey(): Passkey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
  // COSE (RFC 9053 §7.1.1) in CBOR: { 1: 2 (EC2), 3: -7 (ES256), -1: 1 (P-256), -2: x, -3: y }
  const coseKey = Buffer.concat([
    Buffer.from('a5010203262001215820', 'hex'),
    Buffer.from(x, 'base64url'),
    Buffer.from('225820', 'hex'),
    Buffer.from(y, 'base64url'),
  ])
  return { id: randomBytes(32), privateKey, coseKey, signCount: 0 }
}

/** WebAuthn Level 3 §5.8.1. */
function clientData(type: string, challenge: Uint8Array, said: PasskeyLies): Buffer {
  const { origin, crossOrigin = false, topOrigin } = said
  const collected = {
    type: said.type ?? type,
    challenge: Buffer.from(challenge).toString('base64url'),
    origin,
    crossOrigin,
  }
  return Buffer.from(JSON.stringify({ ...collected, ...(topOrigin === undefined ? {} : { topOrigin }) }))
}

const attestedCredentialData = 0x40

/** WebAuthn Level 3 §6.1: RP ID hash, flags, counter. */
function authenticatorData(said: PasskeyLies & { rpId: string }, signCount: number, flags: number): Buffer {
  const { rpId, userPresent = true, userVerified = true } = said
  const tail = Buffer.alloc(5)
  tail.writeUInt8(flags | (userPresent ? 0x01 : 0) | (userVerified ? 0x04 : 0))
  tail.writeUInt32BE(said.signCount ?? signCount, 1)
  return Buffer.concat([sha256(rpId), tail])
}

/** WebAuthn Level 3 §6.5.4 in CBOR: { fmt: 'none', attStmt: {}, authData }, where the data has 24 to 255 bytes. */
function attestationObject(authData: Buffer): Buffer {
  const text = (word: string) => Buffer.concat([Buffer.from([0x60 + word.length]), Buffer.from(word)])
  return Buffer.concat([
    Buffer.from([0xa3]),
    ...[text('fmt'), text('none'), text('attStmt'), Buffer.from([0xa0]), text('authData')],
    Buffer.from([0x58, authData.length]),
    authData,
  ])
}

const asIs = (bytes: Buffer) => bytes
const signEs256 = (signed: Buffer, privateKey: KeyObject) => sign('sha256', signed, privateKey)

function sha256(data: string | Buffer): Buffer {
  return createHash('sha256').update(data).digest()
}
