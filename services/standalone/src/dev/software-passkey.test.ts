import {
  buildRegistryStatement,
  statementChallenge,
  verifyAssertion,
  verifyRegistration,
} from '@bailiwick/approval-statement'
import { assertionSchema } from '@bailiwick/contracts'
import { expect, it } from 'vitest'
import { type PasskeyLies, softwarePasskey } from './software-passkey.ts'

const site = { rpId: 'localhost', origin: 'http://localhost:8420' }
const user = { id: 'anna', name: 'Anna' }
const passkey = softwarePasskey(site)
const challenge = Buffer.alloc(32, 3)
const now = Date.parse('2026-11-24T12:00:00.000Z')
const statement = buildRegistryStatement({
  installation: 'ins_0123456789',
  change_id: 'req_01234567890123456789',
  proposer: 'olga',
  entities: [{ type: 'rule', id: 'finance', version: 1, after: challenge.toString('base64url') }],
  not_after: '2026-11-24T13:00:00.000Z',
  nonce: 'AAAAAAAAAAAAAAAAAAAAAA',
  now,
})

async function enrol(from = passkey) {
  const registered = await verifyRegistration({
    response: from.register(challenge, user),
    challenge: challenge.toString('base64url'),
    rpId: site.rpId,
    origins: [site.origin],
  })
  if (!registered.ok) throw new Error(registered.detail)
  return { ...registered.passkey, registered_at: statement.issued_at }
}

function verify(assertion: ReturnType<typeof passkey.sign>, credential: Awaited<ReturnType<typeof enrol>>) {
  const approver = { credentials: [credential] }
  return verifyAssertion({ statement, assertion, approver, credential, rpId: site.rpId, origins: [site.origin] })
}

it('registers and signs as a browser with an authenticator does', async () => {
  const credential = await enrol()
  const assertion = passkey.sign(statementChallenge(statement))
  expect(assertionSchema.parse(assertion)).toEqual(assertion)
  expect(await verify(assertion, credential)).toEqual({ ok: true, newSignCount: 1 })
  expect(await verify(passkey.sign(statementChallenge(statement)), credential)).toEqual({ ok: true, newSignCount: 2 })
})

it('signs with the named passkey, or otherwise with the newest', async () => {
  const [first, second] = [await enrol(), await enrol()]
  expect(passkey.sign(challenge).credential_id).toBe(second.credential_id)
  const named = passkey.sign(statementChallenge(statement), first.credential_id)
  expect(await verify(named, first)).toMatchObject({ ok: true })
  expect(() => softwarePasskey(site).sign(challenge)).toThrow()
})

it.each<[string, PasskeyLies, string]>([
  ['type', { type: 'webauthn.create' }, 'client_data_json: type'],
  ['origin', { origin: 'http://127.0.0.1:8420' }, 'client_data_json: origin'],
  ['frame', { crossOrigin: true }, 'client_data_json: framed by another page'],
  ['top page', { crossOrigin: true, topOrigin: site.origin }, 'client_data_json: framed by another page'],
  ['relying party', { rpId: 'evil.example' }, 'authenticator_data: another relying party'],
  ['presence', { userPresent: false }, 'authenticator_data: the user was not present'],
  ['verification', { userVerified: false }, 'authenticator_data: the user was not verified'],
])('lies about the %s on request, and is found out', async (_, lies, detail) => {
  const credential = await enrol()
  const assertion = passkey.raw(lies).sign(statementChallenge(statement))
  expect(await verify(assertion, credential)).toEqual({ ok: false, code: 'assertion_invalid', detail })
})

it('lies about the counter on request, and is found out', async () => {
  const credential = { ...(await enrol()), sign_count: 5 }
  const assertion = passkey.raw({ signCount: 5 }).sign(statementChallenge(statement))
  expect(await verify(assertion, credential)).toMatchObject({ ok: false, detail: 'authenticator_data: sign count' })
})
