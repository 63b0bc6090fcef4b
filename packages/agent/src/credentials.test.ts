import { inspect } from 'node:util'
import { exportPrivateKey } from '@bailiwick/credentials'
import { describe, expect, it } from 'vitest'
import { FakeInstallation, grantId, key, type Reply } from './installation.fixture.ts'

const refuse =
  (error: string, status = 400): (() => Reply) =>
  () => ({ status, body: { error, error_description: 'secret-text' } })

describe('a credential', () => {
  it('is asked for with a proof of the key, and again with the nonce that the issuer wants (RFC 9449 §8)', async () => {
    await using fake = await FakeInstallation.start()
    const credential = await fake.agent().credential({ grantId })
    expect(credential).toMatchObject({ token: 'token-1', expiresAt: fake.now + 300_000, authorizationDetails: [{}] })
    expect(fake.received.map((r) => r.proof?.nonce)).toEqual([undefined, 'nonce-1'])
    const form = new URLSearchParams(fake.received[1]?.text)
    expect(JSON.parse(form.get('authorization_details') ?? '')).toEqual([
      { type: 'bailiwick_grant', grant_id: grantId },
    ])
    expect(form.get('grant_type')).toBe('client_credentials')
    // An assertion counts once, so the second attempt has its own.
    expect(form.get('client_assertion')).not.toBe(new URLSearchParams(fake.received[0]?.text).get('client_assertion'))
  })

  it('is asked for with the newest nonce of that server from then on', async () => {
    await using fake = await FakeInstallation.start()
    const agent = fake.agent()
    await agent.credential({ grantId })
    fake.nonce = 'nonce-2'
    await agent.credential({ requestId: 'req_1', resource: 'https://api.example' })
    await agent.credential({ requestId: 'req_2' })
    expect(fake.received.map((r) => r.proof?.nonce)).toEqual([undefined, 'nonce-1', 'nonce-1', 'nonce-2', 'nonce-2'])
    expect(new URLSearchParams(fake.received[3]?.text).get('resource')).toBe('https://api.example')
  })

  it('does not ask for ever when the nonce is never right', async () => {
    await using fake = await FakeInstallation.start()
    fake.token = refuse('use_dpop_nonce')
    await expect(fake.agent().credential({ grantId })).rejects.toMatchObject({ code: 'signature_invalid' })
    expect(fake.received).toHaveLength(2)
  })

  it('is kept while it has a while to live, and replaced before it expires', async () => {
    await using fake = await FakeInstallation.start()
    const agent = fake.agent()
    const first = await agent.credential({ grantId })
    fake.now += 269_999
    expect((await agent.credential({ grantId })).token).toBe(first.token)
    fake.now += 1
    expect((await agent.credential({ grantId })).token).toBe('token-2')
  })

  it('is asked for once by many callers at the same moment', async () => {
    await using fake = await FakeInstallation.start()
    fake.nonce = undefined
    const agent = fake.agent()
    const all = await Promise.all(Array.from({ length: 10 }, () => agent.credential({ grantId })))
    expect(new Set(all.map((c) => c.token))).toEqual(new Set(['token-1']))
    expect(fake.received).toHaveLength(1)
  })

  it('goes on while it lives when the issuer is away, and not a moment longer', async () => {
    await using fake = await FakeInstallation.start()
    const agent = fake.agent()
    await agent.credential({ grantId })
    fake.token = refuse('temporarily_unavailable', 503)
    fake.now += 299_999
    expect((await agent.credential({ grantId })).token).toBe('token-1')
    fake.now += 1
    await expect(agent.credential({ grantId })).rejects.toMatchObject({ code: 'service_unready' })
  })

  it('fails with rate_limited, not as if the issuer were away, when it is asked for too often', async () => {
    await using fake = await FakeInstallation.start()
    fake.token = refuse('temporarily_unavailable', 429)
    await expect(fake.agent().credential({ grantId })).rejects.toMatchObject({ code: 'rate_limited' })
  })

  it('is forgotten once the issuer says that there will be none', async () => {
    await using fake = await FakeInstallation.start()
    const agent = fake.agent()
    await agent.credential({ grantId })
    fake.token = refuse('access_denied')
    fake.now += 280_000
    await expect(agent.credential({ grantId })).rejects.toMatchObject({ code: 'access_request_refused' })
  })

  it('is waited for while the request has no answer, when the caller wants to wait', async () => {
    await using fake = await FakeInstallation.start()
    const pending = refuse('authorization_pending')
    fake.token = pending
    const agent = fake.agent()
    await expect(agent.credential({ requestId: 'req_1' })).rejects.toMatchObject({ code: 'access_request_pending' })
    const good = new FakeInstallation().token
    let left = 2
    fake.token = () => (left-- > 0 ? pending() : good())
    expect(await agent.credential({ requestId: 'req_1' }, { wait: AbortSignal.timeout(5000) })).toMatchObject({
      token: 'token-1',
    })
    fake.token = pending
    await expect(agent.credential({ requestId: 'req_2' }, { wait: AbortSignal.timeout(50) })).rejects.toThrow(/timeout/)
  })

  it.each<[string, () => Reply, string]>([
    [
      'is a bearer token',
      () => ({ body: { access_token: 'x', token_type: 'Bearer', expires_in: 300 } }),
      'answer_malformed',
    ],
    ['never expires', () => ({ body: { access_token: 'x', token_type: 'DPoP' } }), 'answer_malformed'],
    ['belongs to a grant of another agent', refuse('invalid_authorization_details'), 'grant_unknown'],
    ['is refused to an unknown client', refuse('invalid_client', 401), 'caller_unauthenticated'],
    ['is refused for a reason of a later version', refuse('new_reason'), 'request_malformed'],
    ['does not come', () => ({ hang: true }), 'service_unreachable'],
  ])('that %s is none (V11)', async (_, token, code) => {
    await using fake = await FakeInstallation.start()
    fake.token = token
    await expect(
      fake.agent({ timeoutMs: code === 'service_unreachable' ? 300 : 5000 }).credential({ grantId }),
    ).rejects.toMatchObject({ code })
  })

  it('never stands in an error, and neither do proofs, assertions and the words of a server (V17)', async () => {
    await using fake = await FakeInstallation.start()
    const agent = fake.agent()
    const { token } = await agent.credential({ grantId })
    fake.api = () => ({ hang: true })
    fake.token = refuse('access_denied')
    const call = { grant: { grantId }, action: 'GET', resource: { type: 'api', id: 'x' } }
    const failed = await agent.fetch(`${fake.url}/x`, { signal: AbortSignal.timeout(50) }, call).catch((error) => error)
    const refused = await agent.credential({ requestId: 'req_1' }).catch((error) => error)
    const secrets = [
      token,
      'secret-text',
      exportPrivateKey(key).d,
      ...fake.received.flatMap((r) => [String(r.headers.dpop)]),
    ]
    const said = inspect([failed, refused, agent], { depth: 10, showHidden: true })
    for (const secret of secrets) expect(said).not.toContain(secret)
    expect(secrets.length).toBeGreaterThan(4)
  })
})
