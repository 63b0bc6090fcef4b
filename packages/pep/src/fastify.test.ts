import { connect } from 'node:net'
import { fastify } from 'fastify'
import { describe, expect, it } from 'vitest'
import { type BailiwickPepOptions, bailiwickPep } from './fastify.ts'
import { aPoint, FakePdp } from './pdp.fixture.ts'

/** An API with one guarded route, on a real port; `effects` counts the effects that really happened. */
async function anApi(pdp: FakePdp, options: Partial<BailiwickPepOptions> = {}) {
  const point = await aPoint(pdp)
  const app = fastify({ bodyLimit: 1000 })
  const effects: unknown[] = []
  const guarded = bailiwickPep(app, {
    point,
    baseUrl: 'https://api.example/ignored',
    toAction: ({ body }) => ({
      name: 'tools/call',
      properties: body,
      resource: { type: 'tool', id: 'invoices/adjust' },
    }),
    ...options,
  })
  app.post(
    '/adjust',
    guarded(async ({ action }, _request, reply) => {
      effects.push(action.properties)
      if (action.properties.fail) return reply.code(409).send({ failed: true })
      return { done: true }
    }),
  )
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  const call = (body: string = '{"amount":"10"}', headers: Record<string, string> = {}, path = '/adjust') =>
    fetch(`${address}${path}`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', authorization: 'DPoP a.b.c', dpop: 'd.e.f', ...headers },
    })
  return {
    effects,
    point,
    address,
    call,
    async [Symbol.asyncDispose]() {
      await app.close()
      await point[Symbol.asyncDispose]()
    },
  }
}

const deny =
  (code: string, more: object = {}) =>
  () => ({ body: { decision: false, context: { reason: code, ...more } } })

describe('the fastify plug-in', () => {
  it('decides and executes the one object that was parsed, under the address that is its own', async () => {
    await using pdp = await FakePdp.start()
    await using api = await anApi(pdp)
    const response = await api.call('{"amount":"10"}', { host: 'evil.example' }, '/adjust?x=1')
    expect([response.status, await response.json()]).toEqual([200, { done: true }])
    expect(response.headers.get('bailiwick-decision-id')).toMatch(/^dec_/)
    expect(api.effects).toEqual([{ amount: '10' }])
    expect(pdp.evaluations[0]?.context.bailiwick).toMatchObject({
      credential: 'a.b.c',
      proof: 'd.e.f',
      htm: 'POST',
      htu: 'https://api.example/adjust',
    })
    await api.point.delivered()
    expect(pdp.outcomes).toMatchObject([{ status: 'succeeded', http_status: 200 }])
  })

  it('reports an answer that says no as failed', async () => {
    await using pdp = await FakePdp.start()
    await using api = await anApi(pdp)
    expect((await api.call('{"fail":true}')).status).toBe(409)
    await api.point.delivered()
    expect(pdp.outcomes).toMatchObject([{ status: 'failed', http_status: 409 }])
  })

  it('says when to try again after a denial that may be another answer in a moment', async () => {
    await using pdp = await FakePdp.start()
    await using api = await anApi(pdp)
    const answered = async (reason: string) => {
      pdp.answer = deny(reason)
      const response = await api.call()
      const { code, retry_after } = (await response.json()) as { code: string; retry_after?: number }
      return [response.status, code, response.headers.get('retry-after'), retry_after]
    }
    expect(await answered('uses_reserved')).toEqual([403, 'uses_reserved', '1', 1])
    expect(await answered('budget_reserved')).toEqual([403, 'budget_reserved', '1', 1])
    expect(await answered('uses_exhausted')).toEqual([403, 'uses_exhausted', null, undefined])
  })

  it('answers a denial with 403, its reason and where to ask, and has no effect (V1)', async () => {
    await using pdp = await FakePdp.start()
    await using api = await anApi(pdp)
    const access_request = {
      endpoint: 'http://localhost:8420/access/v1/requests',
      expires_at: '2026-01-01T00:00:00.000Z',
    }
    pdp.answer = deny('action_not_granted', { decision_id: `dec_${'1'.repeat(20)}`, access_request })
    const response = await api.call()
    expect(response.status).toBe(403)
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    expect(await response.json()).toEqual({
      type: 'urn:bailiwick:denial:action_not_granted',
      title: 'The action is denied',
      status: 403,
      code: 'action_not_granted',
      detail: 'Ask for this action.',
      decision_id: `dec_${'1'.repeat(20)}`,
      access_request,
    })
    expect(api.effects).toHaveLength(0)
  })

  it.each([
    ['credential_expired', 'invalid_token'],
    ['credential_revoked', 'invalid_token'],
    ['proof_replayed', 'invalid_dpop_proof'],
    ['proof_key_mismatch', 'invalid_dpop_proof'],
    ['proof_nonce_required', 'use_dpop_nonce'],
  ])('challenges for %s with %s (RFC 9449 §7.1)', async (reason, error) => {
    await using pdp = await FakePdp.start()
    await using api = await anApi(pdp)
    pdp.answer = deny(reason, { dpop_nonce: 'nonce-1' })
    const response = await api.call()
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBe(`DPoP error="${error}", algs="ES256 EdDSA Ed25519"`)
    expect(response.headers.get('dpop-nonce')).toBe('nonce-1')
    expect(api.effects).toHaveLength(0)
  })

  it('never puts a header into an answer that the PDP could have broken out of', async () => {
    await using pdp = await FakePdp.start()
    await using api = await anApi(pdp)
    pdp.answer = deny('proof_nonce_required', { dpop_nonce: 'a\r\nset-cookie: x=1' })
    const response = await api.call()
    expect([response.status, response.headers.get('dpop-nonce')]).toEqual([401, null])
  })

  it('asks the PDP about a call without a credential too, so that the answer says where to ask', async () => {
    await using pdp = await FakePdp.start()
    await using api = await anApi(pdp)
    pdp.answer = deny('credential_missing', { access_request: { endpoint: 'http://localhost/x', expires_at: 'soon' } })
    const response = await fetch(`${api.address}/adjust`, {
      method: 'POST',
      body: '{}',
      headers: { 'content-type': 'application/json' },
    })
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBe('DPoP algs="ES256 EdDSA Ed25519"')
    expect(await response.json()).toMatchObject({
      code: 'credential_missing',
      access_request: { endpoint: 'http://localhost/x' },
    })
    expect(pdp.evaluations[0]?.context.bailiwick).not.toHaveProperty('credential')
  })

  it.each([
    ['as Bearer', { authorization: 'Bearer a.b.c' }, 'proof_missing'],
    ['as Bearer in capitals', { authorization: 'BEARER a.b.c' }, 'proof_missing'],
    ['as Basic', { authorization: 'Basic YTpi' }, 'proof_missing'],
    ['with two proofs', { dpop: 'd.e.f, d.e.g' }, 'proof_invalid'],
    ['with more than a token', { authorization: 'DPoP a.b.c, DPoP d.e.f' }, 'credential_malformed'],
    ['without a scheme', { authorization: 'a.b.c' }, 'credential_malformed'],
  ])('refuses a credential %s without asking anybody (V11)', async (_, headers: Record<string, string>, code) => {
    await using pdp = await FakePdp.start()
    await using api = await anApi(pdp)
    const response = await api.call('{}', headers)
    expect(response.status).toBe(401)
    expect(await response.json()).toMatchObject({ code })
    expect(pdp.evaluations).toHaveLength(0)
    expect(api.effects).toHaveLength(0)
  })

  it.each([
    ['two Authorization fields', 'authorization: DPoP a.b.c\r\nauthorization: DPoP x.y.z\r\ndpop: d.e.f'],
    ['two DPoP fields', 'authorization: DPoP a.b.c\r\ndpop: d.e.f\r\ndpop: d.e.g'],
    ['no DPoP field', 'authorization: DPoP a.b.c'],
  ])('refuses %s, of which two servers could read two things (V11)', async (_, fields) => {
    await using pdp = await FakePdp.start()
    await using api = await anApi(pdp)
    const answer = await raw(
      api.address,
      `POST /adjust HTTP/1.1\r\nhost: x\r\n${fields}\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}`,
    )
    expect(answer).toMatch(/^HTTP\/1\.1 401 /)
    expect(pdp.evaluations).toHaveLength(0)
    expect(api.effects).toHaveLength(0)
  })

  it.each([
    ['is none', 'bailiwick-call-id: 1'],
    ['comes twice', 'bailiwick-call-id: call-0123456789abcdef\r\nbailiwick-call-id: call-0123456789abcdeg'],
  ])('refuses a call id that %s: another would be decided as another call (V10)', async (_, fields) => {
    await using pdp = await FakePdp.start()
    await using api = await anApi(pdp)
    const answer = await raw(
      api.address,
      `POST /adjust HTTP/1.1\r\nhost: x\r\nauthorization: DPoP a.b.c\r\ndpop: d.e.f\r\n${fields}\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}`,
    )
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toContain('"code":"request_malformed"')
    expect([pdp.evaluations, api.effects]).toEqual([[], []])
  })

  it('refuses a target that brings its own host', async () => {
    await using pdp = await FakePdp.start()
    await using api = await anApi(pdp)
    const answer = await raw(
      api.address,
      'POST http://evil.example/adjust HTTP/1.1\r\nhost: x\r\nauthorization: DPoP a.b.c\r\ndpop: d.e.f\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}',
    )
    expect(answer).toMatch(/^HTTP\/1\.1 40[04] /)
    expect(pdp.evaluations).toHaveLength(0)
  })

  it.each([
    ['two equal keys', '{"amount":"1","amount":"9999"}', 400],
    ['a number that is rounded', '{"amount":9007199254740993}', 400],
    ['no JSON', '{', 400],
    ['a lone surrogate', '{"a":"\\ud800"}', 400],
    ['too many bytes', `{"a":"${'a'.repeat(1001)}"}`, 413],
    ['an array', '[]', 400],
    ['a text', '"adjust"', 400],
    ['null', 'null', 400],
  ])('refuses a body with %s before anything is decided', async (_, body, status) => {
    await using pdp = await FakePdp.start()
    await using api = await anApi(pdp)
    expect((await api.call(body)).status).toBe(status)
    expect(pdp.evaluations).toHaveLength(0)
    expect(api.effects).toHaveLength(0)
  })

  it('takes a request without a body for an action without arguments', async () => {
    await using pdp = await FakePdp.start()
    await using api = await anApi(pdp)
    const headers = { authorization: 'DPoP a.b.c', dpop: 'd.e.f' }
    expect((await fetch(`${api.address}/adjust`, { method: 'POST', headers })).status).toBe(200)
    expect(api.effects).toEqual([{}])
  })

  it('refuses other media types, which it cannot read', async () => {
    await using pdp = await FakePdp.start()
    await using api = await anApi(pdp)
    expect((await api.call('{}', { 'content-type': 'text/plain' })).status).toBe(415)
    expect(pdp.evaluations).toHaveLength(0)
  })

  it('answers 503 with Retry-After when the PDP is away', async () => {
    await using pdp = await FakePdp.start()
    await using api = await anApi(pdp)
    pdp.answer = () => ({ status: 500 })
    const response = await api.call()
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
    expect(await response.json()).toMatchObject({
      type: 'urn:bailiwick:error:pdp_unavailable',
      code: 'pdp_unavailable',
    })
  })

  it('refuses what another part of the API changed after the permit (V1)', async () => {
    await using pdp = await FakePdp.start()
    let body: Record<string, unknown> = {}
    await using api = await anApi(pdp, {
      toAction: (request) => {
        body = request.body as Record<string, unknown>
        return { name: 'tools/call', properties: body, resource: { type: 'tool', id: 'invoices/adjust' } }
      },
    })
    pdp.answer = (evaluation) => {
      body.amount = '9999'
      return pdp.allow(evaluation)
    }
    const response = await api.call()
    expect([response.status, (await response.json()) as object]).toMatchObject([
      409,
      { code: 'permit_action_mismatch' },
    ])
    expect(api.effects).toHaveLength(0)
  })
})

function raw(address: string, text: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const socket = connect(Number(new URL(address).port), '127.0.0.1', () => socket.write(text))
  let answer = ''
  socket.on('data', (chunk) => {
    answer += chunk
  })
  socket.on('end', () => resolve(answer))
  socket.on('error', reject)
  return promise
}
