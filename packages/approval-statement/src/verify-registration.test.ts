import { expect, it } from 'vitest'
import { aPasskey, type Forged, trust } from './samples.test-data.ts'
import { verifyRegistration } from './verify-registration.ts'

const challenge = Buffer.alloc(32, 7).toString('base64url')
const passkey = aPasskey()
/** RS256, with the exponent 1. */
const everybodys = Buffer.from(`a401030339010020590100${'01'.repeat(256)}214101`, 'hex')
const es384 = Buffer.from(`a5010203382220022158${'20'.padEnd(66, '0')}2258${'20'.padEnd(66, '0')}`, 'hex')
const genuine = passkey.register(challenge)

const verify = (response: unknown) =>
  verifyRegistration({ response, challenge, rpId: trust.rp_id, origins: trust.origins })
const no = (detail: string) => ({ ok: false, code: 'registration_invalid', detail })
const packed = (x5c?: [Uint8Array<ArrayBuffer>]) => ({
  fmt: 'packed',
  attStmt: new Map<string, number | Uint8Array<ArrayBuffer> | Uint8Array<ArrayBuffer>[]>([
    ['alg', -7],
    ['sig', new Uint8Array(8)],
    ...(x5c === undefined ? [] : [['x5c', x5c] as const]),
  ]),
})

it('gives the passkey that the authenticator made', async () => {
  const { registered_at: _, ...made } = passkey.record
  expect(await verify(genuine)).toEqual({ ok: true, passkey: made })
  expect(await verify(passkey.register(challenge, { signCount: 3 }))).toMatchObject({ passkey: { sign_count: 3 } })
})

it.each<[string, Forged, string]>([
  ['is an assertion', { type: 'webauthn.get' }, 'clientDataJSON: type'],
  ['answers another challenge', { challenge: 'AAAA' }, 'clientDataJSON: challenge'],
  ['comes from another origin', { origin: 'https://evil.example' }, 'clientDataJSON: origin'],
  ['comes from a subdomain', { origin: 'https://a.console.example' }, 'clientDataJSON: origin'],
  ['comes from a frame', { more: { crossOrigin: true } }, 'clientDataJSON: framed by another page'],
  ['has client data that is none', { clientData: '{' }, 'clientDataJSON: it cannot be read'],
  ['names another passkey than the authenticator made', { credentialId: 'AAAA' }, 'id: another passkey'],
  ['is for another relying party', { rpId: 'evil.example' }, 'attestationObject: does not verify'],
  ['has no user present', { flags: 0x5c }, 'attestationObject: does not verify'],
  ['has no user verified', { flags: 0x59 }, 'attestationObject: does not verify'],
  ['holds no key', { flags: 0x1d, extra: Buffer.alloc(0) }, 'attestationObject: does not verify'],
  ['brings a certificate', packed([new Uint8Array(8)]), 'attestationObject: attestation is not none'],
  ['attests itself wrongly', packed(), 'attestationObject: does not verify'],
  [
    'makes a key that anyone can sign for',
    { coseKey: everybodys },
    'attestationObject: not a key that passkeys may have',
  ],
  ['makes a key of another algorithm', { coseKey: es384 }, 'attestationObject: does not verify'],
  ['attests by a phone', { fmt: 'android-safetynet' }, 'attestationObject: attestation is not none'],
  ['attests nothing, with a statement', { attStmt: new Map([['x', 1]]) }, 'attestationObject: does not verify'],
])('refuses a registration that %s', async (_, forged, detail) => {
  expect(await verify(passkey.register(challenge, forged))).toEqual(no(detail))
})

it.each<[string, unknown, string]>([
  ['is nothing', undefined, 'it does not match its schema'],
  ['has no client data', { ...genuine, response: {} }, 'it does not match its schema'],
  ['has an id that is not its raw id', { ...genuine, rawId: 'AAAA' }, 'id: is not rawId'],
  [
    'holds no attestation',
    { ...genuine, response: { ...genuine.response, attestationObject: 'AAAA' } },
    'attestationObject: does not verify',
  ],
])('refuses a registration that %s', async (_, hostile, detail) => {
  expect(await verify(hostile)).toEqual(no(detail))
})
