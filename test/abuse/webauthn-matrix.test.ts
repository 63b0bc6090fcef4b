import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import type { Assertion } from '@bailiwick/contracts'
import { type PasskeyLies, type SoftwarePasskey, softwarePasskey } from '@bailiwick/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { bytesOf, Person, type Shown } from './person.ts'
import { pause, Scene } from './scene.ts'

// Every lie that a browser, an authenticator or an attacker between them could tell, sent to the running system over
// HTTP as an approval of a pending request and as a sign-in.

let scene: Scene
let owner: Person
let requestId: string
beforeAll(async () => {
  scene = await Scene.bare()
  owner = new Person(scene.system)
  await owner.enrol()
  requestId = await scene.asked()
})
afterAll(async () => {
  const { findings } = await scene.audited()
  await scene[Symbol.asyncDispose]()
  expect(findings).toEqual([])
})

const port = () => new URL(scene.url).port
const json = (bytes: Buffer): object => JSON.parse(bytes.toString()) as object
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const ed25519 = generateKeyPairSync('ed25519').privateKey
const otherP256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey
const es256 = (signed: Buffer, key: KeyObject) => sign('sha256', signed, key)
const extensions = Buffer.from('a16b68656c6c6f3a776f726c64f5', 'hex') // CBOR: { "hello:world": true }

/** Sets or clears bits of the flags (WebAuthn Level 3 §6.1). */
const flags = (set: number, clear = 0) => ({
  authenticatorData: (bytes: Buffer) => {
    bytes.writeUInt8((bytes.readUInt8(32) | set) & ~clear, 32)
    return bytes
  },
})
const followedBy = (tail: Buffer) => ({ authenticatorData: (bytes: Buffer) => Buffer.concat([bytes, tail]) })

/** A DER integer with another spelling of the same number: a superfluous leading zero. */
function paddedR(der: Buffer): Buffer {
  const r = der.subarray(4, 4 + (der[3] ?? 0))
  const rest = der.subarray(4 + r.length)
  return Buffer.concat([Buffer.from([0x30, der.length - 1, 0x02, r.length + 1, 0]), r, rest])
}

const lies: readonly [what: string, lie: () => PasskeyLies][] = [
  ['the user was not verified', () => ({ userVerified: false })],
  ['the user was not present', () => ({ userPresent: false })],
  ['neither', () => ({ userPresent: false, userVerified: false })],
  ['the relying party is another site', () => ({ rpId: 'thief.example' })],
  ['the relying party is our address with its port', () => ({ rpId: `localhost:${port()}` })],
  ['the relying party is empty', () => ({ rpId: '' })],
  ['the origin is another site', () => ({ origin: 'https://thief.example' })],
  ['the origin begins like ours', () => ({ origin: `${scene.url}.thief.example` })],
  ['the origin is a subdomain', () => ({ origin: scene.url.replace('//', '//a.') })],
  ['the origin is another port', () => ({ origin: `http://localhost:${Number(port()) + 1}` })],
  ['the origin is the default port', () => ({ origin: 'http://localhost' })],
  ['the origin is with TLS', () => ({ origin: scene.url.replace('http:', 'https:') })],
  ['the origin is the address by number', () => ({ origin: scene.url.replace('localhost', '127.0.0.1') })],
  ['the origin has a path', () => ({ origin: `${scene.url}/` })],
  ['the origin is in capitals', () => ({ origin: scene.url.replace('localhost', 'LOCALHOST') })],
  ['the origin is opaque', () => ({ origin: 'null' })],
  ['our page was framed', () => ({ crossOrigin: true })],
  ['our page was framed by a page that is named', () => ({ crossOrigin: true, topOrigin: 'https://thief.example' })],
  ['a top page is named, and no frame', () => ({ topOrigin: scene.url })],
  ['it was a registration', () => ({ type: 'webauthn.create' })],
  ['it was a payment', () => ({ type: 'payment.get' })],
  ['the type has other capitals', () => ({ type: 'WebAuthn.get' })],
  ['client data is cut', () => ({ clientData: (bytes) => bytes.subarray(0, -1) })],
  ['client data is empty', () => ({ clientData: () => Buffer.alloc(0) })],
  ['client data says its challenge twice', () => twice('challenge')],
  ['client data says its origin twice', () => twice('origin')],
  ['client data says its type twice', () => twice('type')],
  [
    'client data begins with a byte order mark',
    () => ({ clientData: (b) => Buffer.concat([Buffer.from('efbbbf', 'hex'), b]) }),
  ],
  ['client data is UTF-16', () => ({ clientData: (bytes) => Buffer.from(bytes.toString(), 'utf16le') })],
  [
    'client data is not UTF-8',
    () => ({ clientData: (b) => Buffer.concat([b.subarray(0, -1), Buffer.from([0xff, 0x7d])]) }),
  ],
  ['client data is a list', () => ({ clientData: (bytes) => Buffer.from(`[${bytes.toString()}]`) })],
  ['something follows client data', () => ({ clientData: (bytes) => Buffer.concat([bytes, Buffer.from('{}')]) })],
  ['the challenge is a number', () => said({ challenge: 0 })],
  ['the challenge is padded', () => said((all) => ({ challenge: `${all.challenge}=` }))],
  ['the challenge is spelled as base64', () => said((all) => ({ challenge: `${all.challenge}`.replace(/.$/, '+') }))],
  ['the origin is a list with ours in it', () => said((all) => ({ origin: [all.origin] }))],
  ['crossOrigin is a word', () => said({ crossOrigin: 'false' })],
  ['a byte follows the authenticator data', () => followedBy(Buffer.from([0]))],
  ['extensions are there and not announced', () => followedBy(extensions)],
  ['extensions are announced and not there', () => flags(0x80)],
  ['a new credential is announced and not there', () => flags(0x40)],
  ['it is backed up, and cannot be', () => flags(0x10)],
  ['the authenticator data is cut', () => ({ authenticatorData: (bytes) => bytes.subarray(0, -1) })],
  ['the authenticator data is empty', () => ({ authenticatorData: () => Buffer.alloc(0) })],
  ['an RSA key signed', () => ({ signature: (signed) => sign('sha256', signed, rsa) })],
  ['an Ed25519 key signed', () => ({ signature: (signed) => sign(null, signed, ed25519) })],
  ['a P-384 key signed', () => ({ signature: (signed) => sign('sha384', signed, p384) })],
  ['another P-256 key signed', () => ({ signature: (signed) => es256(signed, otherP256) })],
  ['the key signed with SHA-1', () => ({ signature: (signed, key) => sign('sha1', signed, key) })],
  ['the key signed with SHA-384', () => ({ signature: (signed, key) => sign('sha384', signed, key) })],
  [
    'the signature is r and s side by side',
    () => ({ signature: (signed, key) => sign('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }) }),
  ],
  ['a byte follows the signature', () => signature((der) => Buffer.concat([der, Buffer.from([0])]))],
  ['the signature is cut', () => signature((der) => der.subarray(0, -1))],
  ['the signature is empty', () => signature(() => Buffer.alloc(0))],
  ['the signature is two zeros', () => signature(() => Buffer.from('3006020100020100', 'hex'))],
  ['a number of the signature has a zero in front', () => signature(paddedR)],
  [
    'the length of the signature is in the long form',
    () => signature((der) => Buffer.concat([Buffer.from([0x30, 0x81]), der.subarray(1)])),
  ],
  ['only client data was signed', () => ({ signature: (signed, key) => es256(signed.subarray(-32), key) })],
  ['the hash was signed', () => ({ signature: (signed, key) => es256(sha256(signed), key) })],
]

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest()
const signature = (change: (der: Buffer) => Buffer): PasskeyLies => ({
  signature: (signed, key) => change(es256(signed, key)),
})
/** Client data with other members. */
const said = (more: object | ((all: Record<string, unknown>) => object)): PasskeyLies => ({
  clientData: (bytes) => {
    const all = json(bytes) as Record<string, unknown>
    return Buffer.from(JSON.stringify({ ...all, ...(typeof more === 'function' ? more(all) : more) }))
  },
})
/** Client data with this member twice: two parsers could read two values, of which the last is the right one. */
const twice = (member: string): PasskeyLies => ({
  clientData: (bytes) => Buffer.from(bytes.toString().replace('{', `{"${member}":"x",`)),
})

/** Changes made on the way, after an honest signature. */
const tampered: readonly [what: string, change: (assertion: Assertion) => Record<string, unknown>][] = [
  ['client data is padded', (a) => ({ ...a, client_data_json: `${a.client_data_json}=` })],
  ['authenticator data is padded', (a) => ({ ...a, authenticator_data: `${a.authenticator_data}==` })],
  ['the signature is padded', (a) => ({ ...a, signature: `${a.signature}=` })],
  ['the passkey’s id is padded', (a) => ({ ...a, credential_id: `${a.credential_id}=` })],
  ['the passkey’s id has another spelling', (a) => ({ ...a, credential_id: respelled(a.credential_id) })],
  ['the signature is in base64', (a) => ({ ...a, signature: inBase64(a.signature) })],
  ['the passkey is unknown', (a) => ({ ...a, credential_id: 'A'.repeat(43) })],
  ['the passkey is not named', ({ credential_id: _, ...a }) => a],
  ['the counter is put up', (a) => ({ ...a, authenticator_data: respelledCounter(a.authenticator_data) })],
  ['something is added', (a) => ({ ...a, user_handle: 'owner' })],
  ['id is not rawId', (a) => ({ ...asBrowser(a), rawId: 'A'.repeat(43) })],
  ['id is rawId, padded', (a) => ({ ...asBrowser(a), rawId: `${a.credential_id}=` })],
  ['there is no rawId', (a) => ({ ...asBrowser(a), rawId: undefined })],
  ['it is not a public key', (a) => ({ ...asBrowser(a), type: 'password' })],
  ['it is said in both spellings', (a) => ({ ...asBrowser(a), ...a, rawId: 'A'.repeat(43) })],
]

const asBrowser = (a: Assertion) => ({
  id: a.credential_id,
  rawId: a.credential_id,
  type: 'public-key',
  response: {
    authenticatorData: a.authenticator_data,
    clientDataJSON: a.client_data_json,
    signature: a.signature,
  },
})
/** The same bytes in base64. One id in twenty has no padding and no character that differs: that one is padded. */
function inBase64(text: string): string {
  const other = bytesOf(text).toString('base64')
  return other === text ? `${other}=` : other
}
/** The same bytes, with other unused bits in the last character. */
function respelled(text: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return text.slice(0, -1) + alphabet[alphabet.indexOf(text.at(-1) ?? '') + 1]
}
function respelledCounter(text: string): string {
  const bytes = bytesOf(text)
  bytes.writeUInt32BE(bytes.readUInt32BE(33) + 1000, 33)
  return bytes.toString('base64url')
}

const approveWith = (shown: Shown, assertion: object) =>
  owner.post(`requests/${requestId}/approve`, { statement_hash: shown.statement_hash, assertion })

async function signInWith(assertionOf: (challenge: Buffer) => object) {
  const { body } = await owner.post('session/options')
  const { sign_in_id, options } = body as unknown as { sign_in_id: string; options: { challenge: string } }
  return owner.post('session', { sign_in_id, assertion: assertionOf(bytesOf(options.challenge)) })
}

/** The request is refused with one of our codes, and every reader's state is unchanged. */
async function refusesBoth(assertionOf: (passkey: SoftwarePasskey, challenge: Buffer) => object, codes: RegExp) {
  const before = await scene.counted()
  const said = await scene.read('approvals.v1')
  const shown = await owner.rendered(requestId)
  const { cookie } = owner
  const approval = await approveWith(shown, assertionOf(owner.passkey, bytesOf(shown.challenge)))
  const signIn = await signInWith((challenge) => assertionOf(owner.passkey, challenge))
  for (const { status, code } of [approval, signIn]) {
    expect(code).toMatch(codes)
    expect(status).toBeGreaterThanOrEqual(400)
    expect(status).toBeLessThan(500)
  }
  expect(owner.cookie).toBe(cookie)
  expect(await scene.read('approvals.v1')).toEqual(said)
  expect(await scene.counted()).toBe(before)
}

it.each(lies)('no passkey approves or signs in when %s (V3, V12)', async (_, lie) => {
  await refusesBoth(
    (passkey, challenge) => passkey.raw(lie()).sign(challenge),
    /^(assertion_invalid|request_malformed)$/,
  )
})

it.each(tampered)('a genuine signature is refused when, on the way, %s (V3)', async (_, change) => {
  await refusesBoth(
    (passkey, challenge) => change(passkey.sign(challenge)),
    /^(assertion_invalid|approver_unknown|request_malformed)$/,
  )
})

it('a counter that stands still or goes back reveals a copied passkey, in an approval and at sign-in (V10)', async () => {
  expect((await owner.signIn(owner.passkey.raw({ signCount: 5000 }))).status).toBe(200)
  for (const signCount of [5000, 4999, 1, 0])
    await refusesBoth((passkey, challenge) => passkey.raw({ signCount }).sign(challenge), /^assertion_invalid$/)
  // The counter is also compared with the latest approval's: the copy is used at the console, and never to sign in.
  const mine = await scene.asked(scene.agent('forecaster'))
  expect((await owner.approve(mine, await owner.rendered(mine), owner.passkey.raw({ signCount: 6000 }))).status).toBe(
    200,
  )
  await refusesBoth((passkey, challenge) => passkey.raw({ signCount: 5999 }).sign(challenge), /^assertion_invalid$/)
})

it('a challenge works for one request, in one session, once, and for a short time (V3, V10)', async () => {
  const counting = owner.passkey.raw({ signCount: 10_000 })
  const other = await scene.asked(scene.agent('forecaster'))
  const [mine, theirs] = [await owner.rendered(requestId), await owner.rendered(other)]
  const before = await scene.counted()
  const elsewhere = new Person(scene.system, owner.passkey)
  expect((await elsewhere.signIn(counting)).status).toBe(200)
  const next = owner.passkey.raw({ signCount: 10_001 })
  // Another request's challenge, another request's statement, another session's, a sign-in's.
  expect((await owner.approve(requestId, { ...mine, challenge: theirs.challenge }, next)).code).toBe(
    'assertion_invalid',
  )
  expect((await owner.approve(requestId, theirs, next)).code).toBe('statement_unknown')
  expect((await elsewhere.approve(requestId, mine, next)).code).toBe('statement_unknown')
  expect((await owner.approve(requestId, mine, next)).code).toBe('statement_unknown') // the first attempt used it up
  const shown = await owner.rendered(requestId)
  expect((await signInWith(() => next.sign(bytesOf(shown.challenge)))).code).toBe('assertion_invalid')
  const { body } = await owner.post('session/options')
  const offer = body as unknown as { sign_in_id: string; options: { challenge: string } }
  expect((await owner.approve(requestId, { ...shown, challenge: offer.options.challenge }, next)).code).toBe(
    'assertion_invalid',
  )
  // A statement that expires while its signer looks for the key.
  const end = Date.now() + 5000 // otherwise it may expire before it is shown
  const brief = await owner.rendered(requestId, { not_after: new Date(end).toISOString() })
  await pause(end + 100 - Date.now())
  expect((await owner.approve(requestId, brief, next)).code).toMatch(/^(statement_unknown|access_request_expired)$/)
  expect(await scene.counted()).toBe(before)
  // A sign-in cannot be repeated.
  const assertion = owner.passkey.raw({ signCount: 10_002 }).sign(bytesOf(offer.options.challenge))
  expect((await owner.post('session', { sign_in_id: offer.sign_in_id, assertion })).status).toBe(200)
  expect((await owner.post('session', { sign_in_id: offer.sign_in_id, assertion })).code).toBe('statement_unknown')
})

it('another person’s passkey, or an unknown one, signs nothing in this session (V3, V12)', async () => {
  const foreign = softwarePasskey({ rpId: 'localhost', origin: scene.url })
  const { credential_id: mine } = owner.passkey.sign(Buffer.alloc(32))
  const other = new Person(scene.system, foreign)
  await other.newPasskey()
  await refusesBoth((_, challenge) => foreign.sign(challenge), /^approver_unknown$/)
  await refusesBoth((_, challenge) => ({ ...foreign.sign(challenge), credential_id: mine }), /^assertion_invalid$/)
})

it('the honest signature is accepted after all of that, exactly once (V3, V10)', async () => {
  const shown = await owner.rendered(requestId)
  const passkey = owner.passkey.raw({ signCount: 20_000 })
  const answer = await owner.approve(requestId, shown, passkey)
  expect([answer.code, answer.status]).toEqual([undefined, 200])
  expect((await owner.approve(requestId, shown, passkey)).code).toBe('statement_unknown')
  await scene.readToEnds()
  const grants = [...scene.ledger.grants.trees.values()].filter(({ grant }) => grant.request_id === requestId)
  expect(grants).toHaveLength(1)
})
