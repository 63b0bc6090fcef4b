import type { Approver, Assertion } from '@bailiwick/contracts'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { anApprover, aPasskey, aStatement, type Forged, iso, now, trust } from './samples.test-data.ts'
import { statementHash } from './statement-hash.ts'
import { verifyAssertion } from './verify-assertion.ts'
import { verifyRegistration } from './verify-registration.ts'

const passkey = aPasskey()
const stranger = aPasskey()
const anna = anApprover('anna', ['finance'], passkey)
const statement = aStatement({ approvers: [anna] })

const verify = (assertion: Assertion, over: Partial<Parameters<typeof verifyAssertion>[0]> = {}) =>
  verifyAssertion({
    statement,
    assertion,
    approver: anna,
    credential: passkey.record,
    rpId: trust.rp_id,
    origins: trust.origins,
    ...over,
  })
const no = (detail: string) => ({ ok: false, code: 'assertion_invalid', detail })

it('takes a passkey signature over exactly this statement (V3)', async () => {
  expect(await verify(passkey.sign(statement))).toEqual({ ok: true, newSignCount: 0 })
  expect(await verify(passkey.sign(statement, { origin: 'https://console.example:8443' }))).toMatchObject({ ok: true })
  expect(await verify(passkey.sign(statement, { signCount: 5 }))).toEqual({ ok: true, newSignCount: 5 })
})

it.each<[string, Forged, string]>([
  ['the user was not verified', { flags: 0x19 }, 'authenticator_data: the user was not verified'],
  ['the user was not present', { flags: 0x1c }, 'authenticator_data: the user was not present'],
  ['another relying party asked', { rpId: 'console.example.evil' }, 'authenticator_data: another relying party'],
  ['the parent domain asked', { rpId: 'example' }, 'authenticator_data: another relying party'],
  ['another site asked', { origin: 'https://console.example.evil' }, 'client_data_json: origin'],
  ['a subdomain asked', { origin: 'https://a.console.example' }, 'client_data_json: origin'],
  ['another port asked', { origin: 'https://console.example:444' }, 'client_data_json: origin'],
  ['it came without TLS', { origin: 'http://console.example' }, 'client_data_json: origin'],
  ['the origin has a path', { origin: 'https://console.example/' }, 'client_data_json: origin'],
  ['our page was framed', { more: { crossOrigin: true } }, 'client_data_json: framed by another page'],
  [
    'our page was framed by a page that is named',
    { more: { crossOrigin: true, topOrigin: 'https://console.example' } },
    'client_data_json: framed by another page',
  ],
  [
    'the browser names a top page and no frame',
    { more: { topOrigin: 'https://evil.example' } },
    'client_data_json: framed by another page',
  ],
  ['crossOrigin is not a boolean', { more: { crossOrigin: 'true' } }, 'client_data_json: it cannot be read'],
  ['it was a registration', { type: 'webauthn.create' }, 'client_data_json: type'],
  ['it was a payment', { type: 'payment.get' }, 'client_data_json: type'],
  [
    'another statement was signed',
    { challenge: statementHash({ ...statement, as_of: 8 }) },
    'client_data_json: the challenge is not this statement',
  ],
  ['no challenge was signed', { challenge: '' }, 'client_data_json: the challenge is not this statement'],
  ['client data is cut', { clientData: '{"type":"webauthn.get","challenge":' }, 'client_data_json: it cannot be read'],
  [
    'client data says two things',
    { clientData: `{"type":"webauthn.get","challenge":"x","challenge":"${statementHash(statement)}"}` },
    'client_data_json: it cannot be read',
  ],
  ['client data is no object', { clientData: 'null' }, 'client_data_json: it cannot be read'],
  ['bytes follow the authenticator data', { extra: Buffer.from([0]) }, 'it cannot be read'],
  ['flags announce what is not there', { flags: 0x5d }, 'it cannot be read'],
  ['a single device says that it is backed up', { flags: 0x15 }, 'it cannot be read'],
])('refuses an assertion when %s (V3)', async (_, forged, detail) => {
  expect(await verify(passkey.sign(statement, forged))).toEqual(no(detail))
})

it.each<[string, number, number, boolean]>([
  ['grows', 5, 6, true],
  ['stays at 0, as with synced passkeys', 0, 0, true],
  ['stands still', 5, 5, false],
  ['goes back', 5, 4, false],
  ['falls to 0', 5, 0, false],
])('judges a counter that %s', async (_, stored, signCount, ok) => {
  const credential = { ...passkey.record, sign_count: stored }
  const verdict = await verify(passkey.sign(statement, { signCount }), { credential })
  expect(verdict).toEqual(ok ? { ok, newSignCount: signCount } : no('authenticator_data: sign count'))
})

it("refuses another person's passkey, in every place it could stand (V12)", async () => {
  const foreign = stranger.sign(statement)
  const mine = { credential_id: passkey.record.credential_id }
  expect(await verify(foreign)).toEqual(no('credential_id: another passkey'))
  expect(await verify({ ...foreign, ...mine })).toEqual(no('signature: does not verify'))
  expect(await verify(foreign, { credential: stranger.record })).toEqual(
    no('credential_id: not a passkey of this approver'),
  )
  const swapped = { ...passkey.record, public_key: stranger.record.public_key }
  expect(await verify({ ...foreign, ...mine }, { credential: swapped })).toEqual(
    no('credential_id: not a passkey of this approver'),
  )
})

it('refuses a signature, client data or authenticator data that changed after signing (V3)', async () => {
  const genuine = passkey.sign(statement)
  const other = passkey.sign(statement, { signCount: 9, more: { extra: 1 } })
  expect(await verify({ ...genuine, signature: other.signature })).toEqual(no('signature: does not verify'))
  expect(await verify({ ...genuine, client_data_json: other.client_data_json })).toEqual(
    no('signature: does not verify'),
  )
  expect(await verify({ ...genuine, authenticator_data: other.authenticator_data })).toEqual(
    no('signature: does not verify'),
  )
  expect(await verify({ ...genuine, client_data_json: genuine.client_data_json.slice(0, -8) })).toEqual(
    no('client_data_json: it cannot be read'),
  )
  expect(await verify({ ...genuine, authenticator_data: genuine.authenticator_data.slice(0, 48) })).toEqual(
    no('authenticator_data: it cannot be read'),
  )
})

it('refuses every second spelling of the same bytes', async () => {
  const genuine = passkey.sign(statement, { more: { pad: 'x' } })
  for (const member of ['client_data_json', 'authenticator_data', 'signature'] as const) {
    for (const text of [`${genuine[member]}=`, ` ${genuine[member]}`]) {
      expect(await verify({ ...genuine, [member]: text })).toEqual(no(`${member}: it cannot be read`))
    }
  }
})

it('refuses keys that are not passkey keys, even if an approver enrolled them (V12)', async () => {
  const [x, y] = ['00'.repeat(32), '00'.repeat(32)]
  const keys = {
    'EC2 under EdDSA': `a5010203272001215820${x}225820${y}`,
    'P-384 under ES256': `a5010203262002215820${x}225820${y}`,
    ES384: `a501020338222002215820${x}225820${y}`,
    'RSA with SHA-1': `a401030339fffe2059010000${'01'.repeat(255)}2143010001`,
    'RSA with exponent 1': `a40103033901002059010001${'01'.repeat(255)}214101`,
    'RSA of 1024 bits': `a401030339010020588001${'01'.repeat(127)}2143010001`,
    'no key': '00',
    'cut CBOR': 'a501',
  }
  for (const [name, hex] of Object.entries(keys)) {
    const credential = { ...passkey.record, public_key: Buffer.from(hex, 'hex').toString('base64url') }
    const approver: Pick<Approver, 'credentials'> = { credentials: [credential] }
    const verdict = await verify(passkey.sign(statement), { approver, credential })
    expect([name, verdict]).toEqual([name, no('public_key: not a key that passkeys may have')])
  }
})

it('refuses a signature whose DER length is not what is there', async () => {
  const genuine = passkey.sign(statement)
  for (const at of [0, 1, 2, 3]) {
    const bytes = Buffer.from(genuine.signature, 'base64url')
    bytes[at] = (bytes[at] ?? 0) ^ 1
    expect(await verify({ ...genuine, signature: bytes.toString('base64url') })).toEqual(
      no('signature: it cannot be read'),
    )
  }
})

it('answers any input, and never throws', async () => {
  const genuine = passkey.sign(statement)
  const members = fc.constantFrom<keyof Assertion>('authenticator_data', 'client_data_json', 'signature')
  await fc.assert(
    fc.asyncProperty(members, fc.uint8Array({ maxLength: 200 }), fc.nat(), async (member, junk, at) => {
      const bytes = Buffer.from(genuine[member], 'base64url')
      bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ 1
      for (const hostile of [Buffer.from(junk), bytes]) {
        const verdict = await verify({ ...genuine, [member]: hostile.toString('base64url') })
        expect(verdict).toMatchObject({ ok: false, code: 'assertion_invalid' })
      }
    }),
    { numRuns: 100 },
  )
  const surrogate = { ...statement, authority: { ...statement.authority, task: '\ud800' } }
  expect(await verify(genuine, { statement: surrogate })).toEqual(no('it cannot be read'))
})

it.each(['ES256', 'EdDSA', 'RS256'] as const)('takes a %s passkey, from its registration on', async (algorithm) => {
  const own = aPasskey(algorithm)
  const challenge = Buffer.alloc(32, 1).toString('base64url')
  const response = own.register(challenge)
  const registered = await verifyRegistration({ response, challenge, rpId: trust.rp_id, origins: trust.origins })
  if (!registered.ok) throw new Error(registered.detail)
  const credential = { ...registered.passkey, registered_at: iso(now) }
  const verdict = await verify(own.sign(statement), { approver: { credentials: [credential] }, credential })
  expect(verdict).toEqual({ ok: true, newSignCount: 0 })
})
