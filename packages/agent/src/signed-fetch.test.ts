import { actionDigest } from '@bailiwick/credentials'
import { describe, expect, it } from 'vitest'
import { FakeInstallation, grantId } from './installation.fixture.ts'

const resource = { type: 'tool', id: 'invoices/adjust' }
const properties = { amount: '10.00', currency: 'EUR' }
const call = { grant: { grantId }, action: 'tools/call', resource, properties }
const challenge = (error: string, nonce?: string) => ({
  status: 401,
  headers: {
    'www-authenticate': `DPoP error="${error}", algs="ES256 EdDSA Ed25519"`,
    ...(nonce ? { 'dpop-nonce': nonce } : {}),
  },
})

describe('a signed call', () => {
  it('carries the credential, and a proof over it, the URI and the exact action', async () => {
    await using fake = await FakeInstallation.start()
    const response = await fake.agent().fetch(`${fake.url}/adjust?page=2`, { headers: { 'x-mine': '1' } }, call)
    expect([response.status, await response.json()]).toEqual([200, { done: true }])
    const [sent] = fake.at('/adjust')
    expect(sent).toMatchObject({ method: 'POST', headers: { authorization: 'DPoP token-1', 'x-mine': '1' } })
    expect(sent?.proof?.actionDigest).toBe(actionDigest({ name: 'tools/call', properties, resource }))
    expect(JSON.parse(sent?.text ?? '')).toEqual(properties)
    expect(sent?.headers['bailiwick-call-id']).toMatch(/^[0-9A-Za-z_-]{16,64}$/)
  })

  it('that stands for no action carries a proof that names none, and no content', async () => {
    await using fake = await FakeInstallation.start()
    const response = await fake.agent().fetch(`${fake.url}/session`, { method: 'DELETE' }, { grant: { grantId } })
    expect(response.status).toBe(200)
    const [sent] = fake.at('/session')
    expect(sent).toMatchObject({ method: 'DELETE', headers: { authorization: 'DPoP token-1' }, text: '' })
    expect(sent?.proof).toBeDefined()
    expect(sent?.proof?.actionDigest).toBeUndefined()
  })

  it('has a proof for the address alone where there is no action; half an action is none', async () => {
    await using fake = await FakeInstallation.start()
    const agent = fake.agent()
    const init = { method: 'POST', body: '{}' }
    expect((await agent.fetch(`${fake.url}/list`, init, { grant: { grantId } })).status).toBe(200)
    const [sent] = fake.at('/list')
    expect([sent?.headers.authorization, sent?.text]).toEqual(['DPoP token-1', '{}'])
    expect(sent?.proof).toBeDefined()
    expect(sent?.proof?.actionDigest).toBeUndefined()
    for (const half of [{ action: 'tools/call' }, { resource }])
      await expect(agent.fetch(`${fake.url}/half`, init, { grant: { grantId }, ...half })).rejects.toThrow(
        'request_malformed',
      )
    expect(fake.at('/half')).toEqual([])
  })

  it('is made once more with the nonce that was asked for, with a new proof and as the same call', async () => {
    await using fake = await FakeInstallation.start()
    const agent = fake.agent()
    fake.api = ({ proof }) => (proof?.nonce === 'api-1' ? { body: {} } : challenge('use_dpop_nonce', 'api-1'))
    const callId = 'call-0123456789abcdef'
    expect((await agent.fetch(`${fake.url}/adjust`, {}, { ...call, callId })).status).toBe(200)
    const sent = fake.at('/adjust')
    expect(sent).toHaveLength(2)
    expect(sent.map((s) => s.headers['bailiwick-call-id'])).toEqual([callId, callId])
    expect(sent[0]?.proof?.jti).not.toBe(sent[1]?.proof?.jti)
    expect(sent.map((s) => s.text)).toEqual([JSON.stringify(properties), JSON.stringify(properties)])
    expect((await agent.fetch(`${fake.url}/adjust`, {}, call)).status).toBe(200)
    expect(fake.at('/adjust')).toHaveLength(3)
  })

  it('is not made again and again when the nonce is never right', async () => {
    await using fake = await FakeInstallation.start()
    let nonces = 0
    fake.api = () => challenge('use_dpop_nonce', `api-${++nonces}`)
    expect((await fake.agent().fetch(`${fake.url}/adjust`, {}, call)).status).toBe(401)
    expect(fake.at('/adjust')).toHaveLength(3)
  })

  it.each([
    ['names no nonce', challenge('use_dpop_nonce')],
    ['names another error', challenge('invalid_dpop_proof', 'api-1')],
    ['is a denial', { status: 403, headers: { 'dpop-nonce': 'api-1' }, body: { code: 'policy_denied' } }],
    ['is a redirect to another server', { status: 307, headers: { location: 'http://elsewhere.example/' } }],
  ])('is not made again when the answer %s', async (_, reply) => {
    await using fake = await FakeInstallation.start()
    fake.api = () => reply
    expect((await fake.agent().fetch(`${fake.url}/adjust`, {}, call)).status).toBe(reply.status)
    expect(fake.at('/adjust')).toHaveLength(1)
  })

  const denied = (code: string, more: object = {}) => ({
    status: 403,
    headers: { 'content-type': 'application/problem+json', 'retry-after': '1' },
    body: { code, ...more },
  })

  it.each(['uses_reserved', 'budget_reserved'])(
    'is made again after %s, as the same call, when it says',
    async (code) => {
      await using fake = await FakeInstallation.start()
      const answers = [denied(code, { retry_after: 7 }), { body: { done: true } }]
      fake.api = () => answers.shift() ?? { status: 500 }
      const response = await fake.agent().fetch(`${fake.url}/adjust`, {}, call)
      expect([response.status, await response.json()]).toEqual([200, { done: true }])
      const sent = fake.at('/adjust')
      expect(new Set(sent.map(({ headers }) => headers['bailiwick-call-id'])).size).toBe(1)
      expect(new Set(sent.map(({ proof }) => proof?.jti)).size).toBe(2)
    },
  )

  it.each([
    ['once its time is over', denied('uses_reserved'), { patienceMs: 500 }],
    ['at all, where it is not to be', denied('budget_reserved'), { patienceMs: 0 }],
    ['for what is spent', denied('uses_exhausted'), {}],
    ['for what another replica may have done', denied('call_elsewhere'), {}],
    ['where a caller named it, which was given up', denied('call_abandoned'), { callId: 'call-0123456789abcdef' }],
  ])('is not made again %s: the answer is readable', async (_, reply, more) => {
    await using fake = await FakeInstallation.start()
    fake.api = () => reply
    const response = await fake.agent().fetch(`${fake.url}/adjust`, {}, { ...call, ...more })
    expect([response.status, await response.json()]).toEqual([403, reply.body])
    expect(fake.at('/adjust')).toHaveLength(1)
  })

  it('is made under a new id when the first was given up before an answer left', async () => {
    await using fake = await FakeInstallation.start()
    const answers = [denied('call_abandoned'), { body: { done: true } }]
    fake.api = () => answers.shift() ?? { status: 500 }
    expect((await fake.agent().fetch(`${fake.url}/adjust`, {}, call)).status).toBe(200)
    expect(new Set(fake.at('/adjust').map(({ headers }) => headers['bailiwick-call-id'])).size).toBe(2)
  })

  it.each<[what: string, then: ReturnType<typeof denied>[], code: string | undefined]>([
    ['takes effect at most once', [], undefined],
    ['waits for the first, which is under way', [denied('call_in_progress')], undefined],
    ['cannot say what came of the first', [denied('permit_used')], 'outcome_unknown'],
    ['cannot say what another replica did', [denied('call_elsewhere')], 'outcome_unknown'],
  ])('whose answer was lost is made again under the same id, and %s (V10)', async (_, then, code) => {
    await using fake = await FakeInstallation.start()
    const answers = [...then]
    fake.api = () => answers.shift() ?? { body: { done: true } }
    let cut = true
    const flaky: typeof fetch = async (input, init) => {
      const response = await fetch(input, init)
      if (!String(input).includes('/adjust') || !cut) return response
      cut = false
      await response.body?.cancel()
      answers.splice(0, answers.length, ...then)
      throw new TypeError('terminated')
    }
    const made = fake.agent({ fetch: flaky }).fetch(`${fake.url}/adjust`, {}, call)
    if (code === undefined) expect(await (await made).json()).toEqual({ done: true })
    else await expect(made).rejects.toMatchObject({ code })
    expect(new Set(fake.at('/adjust').map(({ headers }) => headers['bailiwick-call-id'])).size).toBe(1)
  })

  it('gets a new credential after one was refused', async () => {
    await using fake = await FakeInstallation.start()
    const agent = fake.agent()
    fake.api = ({ headers }) => (headers.authorization === 'DPoP token-1' ? challenge('invalid_token') : { body: {} })
    expect((await agent.fetch(`${fake.url}/adjust`, {}, call)).status).toBe(401)
    expect((await agent.fetch(`${fake.url}/adjust`, {}, call)).status).toBe(200)
    expect(fake.tokens).toBe(2)
  })

  it('that is refused late does not take the new credential from the others', async () => {
    await using fake = await FakeInstallation.start()
    const agent = fake.agent()
    const late = Promise.withResolvers<void>()
    fake.api = async ({ headers, path }) => {
      if (headers.authorization !== 'DPoP token-1') return { body: {} }
      if (path === '/late') await late.promise
      return challenge('invalid_token')
    }
    const slow = agent.fetch(`${fake.url}/late`, {}, call)
    await expect.poll(() => fake.at('/late').length).toBe(1)
    await agent.fetch(`${fake.url}/adjust`, {}, call)
    await agent.fetch(`${fake.url}/adjust`, {}, call)
    late.resolve()
    await slow
    await agent.fetch(`${fake.url}/adjust`, {}, call)
    expect(fake.tokens).toBe(2)
  })

  it('is not hindered by a nonce that no proof can carry', async () => {
    await using fake = await FakeInstallation.start()
    const agent = fake.agent()
    fake.api = () => challenge('use_dpop_nonce', 'n'.repeat(513))
    expect((await agent.fetch(`${fake.url}/adjust`, {}, call)).status).toBe(401)
    fake.api = () => ({ body: {} })
    expect((await agent.fetch(`${fake.url}/adjust`, {}, call)).status).toBe(200)
  })

  it('without a grant presents nothing', async () => {
    await using fake = await FakeInstallation.start()
    const { grant: _, ...question } = call
    await fake.agent().fetch(`${fake.url}/adjust`, {}, question)
    expect(fake.received).toHaveLength(1)
    expect(fake.received[0]?.headers).not.toHaveProperty('authorization')
    expect(fake.received[0]?.headers).not.toHaveProperty('dpop')
  })

  it('sends a body of the caller as it is, and none with GET', async () => {
    await using fake = await FakeInstallation.start()
    const agent = fake.agent()
    await agent.fetch(
      `${fake.url}/raw`,
      { method: 'PUT', body: 'as it is', headers: { 'content-type': 'text/plain' } },
      call,
    )
    await agent.fetch(`${fake.url}/raw`, { method: 'get' }, call)
    await agent.fetch(`${fake.url}/raw`, {}, { grant: { grantId }, action: 'GET', resource })
    expect(fake.at('/raw').map((r) => [r.method, r.text, r.headers['content-type']])).toEqual([
      ['PUT', 'as it is', 'text/plain'],
      ['GET', '', undefined],
      ['GET', '', undefined],
    ])
  })

  it('whose answer was lost has an unknown outcome, and one that was given up the reason of its signal', async () => {
    await using fake = await FakeInstallation.start()
    const agent = fake.agent()
    await agent.credential({ grantId })
    fake.api = () => ({ hang: true })
    const signal = AbortSignal.timeout(30)
    await expect(agent.fetch(`${fake.url}/adjust`, { signal }, call)).rejects.toMatchObject({ name: 'TimeoutError' })
    const url = `${fake.url}/adjust`
    await fake[Symbol.asyncDispose]()
    await expect(agent.fetch(url, {}, call)).rejects.toMatchObject({ code: 'outcome_unknown' })
  })

  it('with arguments that have no canonical form is refused before anything is sent', async () => {
    await using fake = await FakeInstallation.start()
    const wrong = { ...call, properties: { amount: Number.NaN } }
    await expect(fake.agent().fetch(`${fake.url}/adjust`, {}, wrong)).rejects.toMatchObject({
      code: 'request_malformed',
    })
    expect(fake.received).toHaveLength(0)
  })
})
