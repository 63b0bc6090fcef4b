import { delegationId, encodeBase64url, generateKey, sha256, verifyDelegation } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { authority, FakeInstallation, grantId, installation, key } from './installation.fixture.ts'

const child = generateKey('agent')
const to = 'spiffe://example.org/agent/reader/i1'
const hash = 'A'.repeat(43)
const parentAuthority = { ...authority, max_depth: 1, max_children: 2 }

const closedAuthority = {
  ...parentAuthority,
  permissions: authority.permissions.map((permission) => ({ ...permission, arguments: 'closed' })),
}

/** Answers with a credential that says which grant it belongs to, and what it allows. */
function grants(
  fake: FakeInstallation,
  grant: object = {},
  details: object = parentAuthority,
  more: object = {},
): void {
  const claims = { grant: { id: grantId, statement_hash: hash, as_of: 3, ...grant } }
  const access_token = `e30.${encodeBase64url(JSON.stringify(claims))}.c2ln`
  const answer = { access_token, token_type: 'DPoP', expires_in: 300, authorization_details: [details], ...more }
  fake.token = () => ({ body: answer })
}

it('signs what it passes on, with the key of its own credential, under what that is of', async () => {
  await using fake = await FakeInstallation.start()
  grants(fake)
  const agent = fake.agent()
  const ask = { of: { grantId }, to, key: child.publicJwk, authority, expiresAt: fake.now + 60_500 }
  const { id, delegation } = await agent.delegate(ask)
  expect(id).toBe(delegationId(delegation))
  const delegator = { agent: agent.id, jkt: key.kid }
  expect(verifyDelegation({ delegation, delegator, grant: grantId, installation })).toMatchObject({
    ok: true,
    value: {
      sub: to,
      cnf: { jkt: child.kid },
      exp: Math.floor(fake.now / 1000) + 60,
      as_of: 3,
      parent_hash: hash,
      authorization_details: [authority],
    },
  })
  grants(fake, { delegation: `dlg_${sha256('parent')}` })
  const below = await fake.agent().delegate({ ...ask, key: child.kid, resources: ['https://api.example'] })
  const claims = JSON.parse(Buffer.from(below.delegation.split('.')[1] ?? '', 'base64url').toString())
  expect(claims).toMatchObject({
    parent_hash: sha256('parent'),
    resources: ['https://api.example'],
    cnf: { jkt: child.kid },
  })
})

it.each<[string, object, object]>([
  ['more than it has', { budget: { calls: 21 } }, parentAuthority],
  ['what may not be passed on', {}, authority],
  ['an agent that is not listed', {}, { ...parentAuthority, delegates: ['spiffe://example.org/agent/other'] }],
  ['an open part of a closed permission', {}, closedAuthority],
])('signs nothing for %s', async (_, change, parent) => {
  await using fake = await FakeInstallation.start()
  grants(fake, {}, parent)
  const ask = {
    of: { grantId },
    to,
    key: child.kid,
    authority: { ...authority, ...change },
    expiresAt: fake.now + 60_000,
  }
  await expect(fake.agent().delegate(ask)).rejects.toMatchObject({ code: 'delegation_invalid' })
})

it('signs nothing that would outlive what it is a part of', async () => {
  await using fake = await FakeInstallation.start()
  const ends = Math.floor(fake.now / 1000) + 600
  grants(fake, {}, parentAuthority, { grant_expires_at: ends })
  const agent = fake.agent()
  const until = (expiresAt: number) => agent.delegate({ of: { grantId }, to, key: child.kid, authority, expiresAt })
  await until(ends * 1000 + 999) // a delegation's times are in seconds, so this is the same second
  await expect(until(ends * 1000 + 1000)).rejects.toMatchObject({
    code: 'delegation_invalid',
    detail: expect.stringMatching(/^expiry: it ends /),
  })
})

it('says what of an ask no delegation could say', async () => {
  await using fake = await FakeInstallation.start()
  grants(fake)
  const ask = { of: { grantId }, to, key: child.kid, authority, expiresAt: fake.now + 60_000 }
  for (const change of [
    { to: 'reader' },
    { key: 'x' },
    { expiresAt: fake.now - 1 },
    { expiresAt: fake.now + 9 * 3600_000 },
  ])
    await expect(fake.agent().delegate({ ...ask, ...change })).rejects.toMatchObject({ code: 'request_malformed' })
})

it('redeems a delegation by token exchange, and says when it is none', async () => {
  await using fake = await FakeInstallation.start()
  const agent = fake.agent()
  expect((await agent.credential({ delegation: 'a.b.c', resource: 'https://api.example' })).token).toBe('token-1')
  const [asked] = fake.at('/oauth/token').slice(-1)
  expect(Object.fromEntries(new URLSearchParams(asked?.text))).toMatchObject({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: 'a.b.c',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    resource: 'https://api.example',
  })
  fake.token = () => ({ status: 400, body: { error: 'invalid_request' } })
  await expect(agent.credential({ delegation: 'x' })).rejects.toMatchObject({
    code: 'delegation_invalid',
    detail: undefined,
  })
  const error_description = 'The subject_token is no delegation that holds here: expiry.'
  fake.token = () => ({ status: 400, body: { error: 'invalid_request', error_description } })
  await expect(agent.credential({ delegation: 'x' })).rejects.toMatchObject({ message: 'delegation_invalid: expiry' })
  await expect(agent.credential({ grantId })).rejects.toMatchObject({ code: 'request_malformed' })
  await expect(agent.revokeDelegation('no delegation')).rejects.toMatchObject({ code: 'request_malformed' })
})
