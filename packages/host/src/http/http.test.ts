import { ServiceError } from '@bailiwick/errors'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { aServer, listening, speak } from './http.fixture.ts'
import { problemOf } from './http-problem.ts'

describe('a problem document', () => {
  it.each<
    [
      string,
      { method: 'GET' | 'POST' | 'DELETE'; url: string; payload?: string; headers?: Record<string, string> },
      number,
      string,
    ]
  >([
    ['404', { method: 'GET', url: '/nothing' }, 404, 'route_unknown'],
    [
      '404 with a body',
      { method: 'POST', url: '/nothing', payload: '{', headers: { 'content-type': 'application/json' } },
      404,
      'route_unknown',
    ],
    [
      '404 with a body of any type',
      { method: 'POST', url: '/nothing', payload: 'x', headers: { 'content-type': 'text/x' } },
      404,
      'route_unknown',
    ],
    ['405', { method: 'DELETE', url: '/items/7' }, 405, 'method_not_allowed'],
    [
      '405 with a body',
      { method: 'POST', url: '/items/7', payload: '{}', headers: { 'content-type': 'application/json' } },
      405,
      'method_not_allowed',
    ],
    [
      '413',
      {
        method: 'POST',
        url: '/echo',
        payload: `"${'x'.repeat(65_535)}"`,
        headers: { 'content-type': 'application/json' },
      },
      413,
      'body_too_large',
    ],
    [
      '415',
      { method: 'POST', url: '/echo', payload: 'a: 1', headers: { 'content-type': 'application/yaml' } },
      415,
      'content_type_unsupported',
    ],
    [
      'malformed JSON',
      { method: 'POST', url: '/echo', payload: '{"a":1,"a":1}', headers: { 'content-type': 'application/json' } },
      400,
      'json_malformed',
    ],
    ['a schema', { method: 'GET', url: '/items/x' }, 400, 'request_malformed'],
    ['a URL that cannot be decoded', { method: 'GET', url: '/items/%zz' }, 400, 'request_malformed'],
    ['a parameter that is too long', { method: 'GET', url: `/items/${'1'.repeat(2101)}` }, 400, 'request_malformed'],
  ])('answers %s', async (_what, request, status, code) => {
    await using fixture = await aServer()
    const answer = await fixture.server.inject({ ...request, headers: { 'x-request-id': 'abc', ...request.headers } })
    expect(answer.headers['content-type']).toBe('application/problem+json')
    expect(answer.headers['x-request-id']).toBe('abc')
    expect(answer.statusCode).toBe(status)
    expect(answer.json()).toMatchObject({ type: `urn:bailiwick:error:${code}`, status, code })
  })

  it('names the other methods of a path that does not take this one', async () => {
    await using fixture = await aServer()
    const answer = await fixture.server.inject({ method: 'PUT', url: '/items/7?x=1' })
    expect([answer.statusCode, answer.headers.allow]).toEqual([405, 'GET, HEAD'])
    expect((await fixture.server.inject({ method: 'PUT', url: '/items/7/more' })).statusCode).toBe(404)
  })

  it('says where a request differs from its schema, not what it holds', async () => {
    await using fixture = await aServer()
    const answer = await fixture.server.inject({ url: '/items/hunter2' })
    expect(answer.json()).toMatchObject({ detail: 'params/id: not a number' })
    expect(answer.body).not.toContain('hunter2')
  })

  it('has the code and detail of an error of ours, and says when to come back', async () => {
    await using fixture = await aServer()
    fixture.server.get('/limited', async () => {
      throw new ServiceError('rate_limited', 'agent a')
    })
    fixture.server.get('/later', async (_request, reply) => {
      reply.header('retry-after', '7')
      throw new ServiceError('state_stale')
    })
    const limited = await fixture.server.inject({ url: '/limited' })
    expect([limited.statusCode, limited.headers['retry-after'], limited.json().detail]).toEqual([429, '1', 'agent a'])
    expect((await fixture.server.inject({ url: '/later' })).headers['retry-after']).toBe('7')
  })

  it('tells nothing of an error that is not ours, to the caller or the log (V13, V17)', async () => {
    await using fixture = await aServer({})
    fixture.server.log.level = 'info'
    fixture.server.get('/broken', async () => {
      throw Object.assign(new TypeError('hunter2'), { statusCode: 418, code: 'EHUNTER', detail: 'hunter2' })
    })
    const answer = await fixture.server.inject({ url: '/broken' })
    expect([answer.statusCode, answer.json().code]).toEqual([500, 'internal'])
    expect(answer.body).not.toMatch(/hunter2/i)
    expect(fixture.log()).toContain('"code":"internal"')
  })

  it('is logged with how long it took, also where another instance is to be asked', async () => {
    await using fixture = await aServer()
    fixture.health.check('standing', () => 'stands by', { gate: true })
    const { statusCode } = await fixture.server.inject({ url: '/items/7' })
    const [, ms] = /"status":503,"ms":([\d.]+)/.exec(fixture.log()) ?? []
    expect([statusCode, Number(ms) < performance.now() / 2]).toEqual([503, true]) // not since the process began
  })

  it('can have the form of another standard, in a scope of its own, and is logged all the same', async () => {
    await using fixture = await aServer()
    await fixture.server.register(async (oauth) => {
      oauth.setErrorHandler((error, request, reply) => reply.code(400).send({ error: problemOf(request, error).code }))
      oauth.post('/token', { config: { accepts: ['application/x-www-form-urlencoded'] } }, async () => 'token')
    })
    const answer = await fixture.server.inject({ method: 'POST', url: '/token', payload: {} })
    expect([answer.statusCode, answer.json()]).toEqual([400, { error: 'content_type_unsupported' }])
    expect(fixture.log()).toContain('"code":"content_type_unsupported"')
  })

  it('answers when a handler takes too long, whether or not it read a body (V18)', async () => {
    await using fixture = await aServer({ limits: { handlerMs: 20 } })
    const never = () => new Promise(() => undefined)
    fixture.server.get('/slow', never)
    fixture.server.post('/slow', never)
    const url = `${await fixture.server.listen({ port: 0 })}/slow`
    const headers = { 'content-type': 'application/json' }
    for (const init of [{}, { method: 'POST', headers, body: '{}' }]) {
      const answer = await fetch(url, init)
      expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([503, 'deadline_exceeded'])
    }
  })

  it('cuts an answer off that has begun and does not end, and takes the time that its route says', async () => {
    await using fixture = await aServer({ limits: { handlerMs: 20 } })
    fixture.server.get('/begun', () => new ReadableStream({ start: (stream) => stream.enqueue(Buffer.from('begun')) }))
    const patient = { config: { handlerMs: 60_000 } }
    fixture.server.get('/patient', patient, () => new Promise((resolve) => setTimeout(resolve, 100, 'late')))
    const url = await fixture.server.listen({ port: 0 })
    await expect(fetch(`${url}/begun`).then((answer) => answer.text())).rejects.toThrow()
    expect(await (await fetch(`${url}/patient`)).text()).toBe('late')
  })
})

describe('an answer', () => {
  it('has only what its schema declares', async () => {
    await using fixture = await aServer()
    expect((await fixture.server.inject({ url: '/items/7' })).json()).toEqual({ id: '7' })
  })

  it('that does not fit its schema is an internal error, not half an answer', async () => {
    await using fixture = await aServer()
    // The type checker refuses this value, but it can still come from elsewhere.
    const wrong = JSON.parse('{"id":7,"secret":"hunter2"}') as { id: string }
    fixture.server.get('/wrong', { schema: { response: { 200: z.object({ id: z.string() }) } } }, async () => wrong)
    const answer = await fixture.server.inject({ url: '/wrong' })
    expect([answer.statusCode, answer.json().code]).toEqual([500, 'internal'])
    expect(answer.body).not.toContain('hunter2')
  })

  it('carries headers that keep pages to this origin, and is not kept', async () => {
    await using fixture = await aServer()
    const kept = {
      'content-security-policy':
        "default-src 'none';script-src 'self';style-src 'self';connect-src 'self';img-src 'self' data:;frame-ancestors 'none';base-uri 'none';form-action 'self'",
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'origin-agent-cluster': '?1',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'x-dns-prefetch-control': 'off',
      'x-download-options': 'noopen',
      'x-frame-options': 'DENY',
      'x-permitted-cross-domain-policies': 'none',
      'x-xss-protection': '0',
      'cache-control': 'no-store',
    }
    const ofEach = new Set(['x-request-id', 'content-type', 'content-length', 'date', 'connection'])
    for (const url of ['/items/7', '/nothing', '/%zz', '/items/7']) {
      const { headers } = await fixture.server.inject({ url })
      expect(Object.fromEntries(Object.entries(headers).filter(([name]) => !ofEach.has(name)))).toEqual(kept)
    }
  })

  it('asks for TLS next time when there is TLS now', async () => {
    await using fixture = await aServer({ tls: 'terminated' })
    const { headers } = await fixture.server.inject({ url: '/items/7' })
    expect(headers['strict-transport-security']).toContain('max-age=31536000')
  })
})

describe('X-Request-ID', () => {
  it.each(['abc-123', '5b3c/7.~:+=', 'x'.repeat(128)])('is echoed when well formed: %s', async (id) => {
    await using fixture = await aServer()
    const answer = await fixture.server.inject({ url: '/items/7', headers: { 'x-request-id': id } })
    expect(answer.headers['x-request-id']).toBe(id)
    expect(fixture.log()).toContain(`"reqId":"${id}"`)
  })

  it.each(['', ' ', 'a b', 'a,b', '"', '<script>', 'x'.repeat(129), 'a\tb', 'é'])(
    'is made anew instead of: %j',
    async (id) => {
      await using fixture = await aServer()
      const answer = await fixture.server.inject({ url: '/items/7', headers: { 'x-request-id': id } })
      expect(answer.headers['x-request-id']).toMatch(/^[\w-]{22}$/)
    },
  )

  it('cannot put a header or a line anywhere', async () => {
    await using fixture = await aServer()
    const port = await listening(fixture)
    const head = (id: string) =>
      `GET /items/7 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Request-ID: ${id}\r\n\r\n`
    for (const id of [
      'a%0d%0aSet-Cookie:%20x=1',
      'a\rSet-Cookie: x=1',
      'a\nSet-Cookie: x=1',
      'a\u0000b',
      'a\r\nX-Request-ID: b',
    ]) {
      const answer = await speak(port, head(id))
      expect(answer).not.toMatch(/set-cookie/i)
      expect(answer).toMatch(/^HTTP\/1\.1 (200|400)/)
    }
    expect(fixture.log()).not.toMatch(/cookie/i)
  })

  it('is another one for each request', async () => {
    await using fixture = await aServer()
    const ids = await Promise.all(
      Array.from(
        { length: 20 },
        async () => (await fixture.server.inject({ url: '/items/7' })).headers['x-request-id'],
      ),
    )
    expect(new Set(ids).size).toBe(20)
  })
})

describe('health and metrics', () => {
  it('tell what is not ready, and that it is live all the same', async () => {
    await using fixture = await aServer()
    fixture.health.check('bus', () => '3 s behind')
    expect((await fixture.server.inject({ url: '/healthz' })).json()).toEqual({ status: 'live' })
    const ready = await fixture.server.inject({ url: '/readyz' })
    expect([ready.statusCode, ready.json().detail]).toEqual([503, 'bus: 3 s behind'])
    fixture.health.check('follower', () => 'failed', { liveness: true })
    expect((await fixture.server.inject({ url: '/healthz' })).statusCode).toBe(503)
  })

  it('tell that all is well', async () => {
    await using fixture = await aServer()
    expect((await fixture.server.inject({ url: '/readyz' })).json()).toEqual({ status: 'ready' })
  })

  it('count requests by route, not by what callers ask for (V17)', async () => {
    await using fixture = await aServer()
    await fixture.server.inject({ url: '/items/4711?token=hunter2' })
    await fixture.server.inject({ url: '/hunter2' })
    const { body, headers } = await fixture.server.inject({ url: '/metrics' })
    expect(headers['content-type']).toMatch(/^text\/plain/)
    expect(body).toContain(
      'bailiwick_http_requests_total{method="GET",route="/items/:id",status="200",service="test"} 1',
    )
    expect(body).toContain('bailiwick_http_requests_total{method="GET",route="unknown",status="404",service="test"} 1')
    expect(body).toContain('bailiwick_http_request_seconds_count{')
    expect(body).not.toMatch(/hunter2|4711/)
  })

  it('are for callers on this machine unless anyone may read them', async () => {
    await using fixture = await aServer()
    const from = (remoteAddress: string, headers = {}) =>
      fixture.server.inject({ url: '/metrics', remoteAddress, headers })
    expect((await from('127.0.0.1')).statusCode).toBe(200)
    expect((await from('::ffff:127.0.0.1')).statusCode).toBe(200)
    expect((await from('192.0.2.1')).json().code).toBe('caller_forbidden')
    expect((await from('127.0.0.1', { 'x-forwarded-for': '192.0.2.1' })).statusCode).toBe(403)
    await using open = await aServer({ metricsFor: 'anyone' })
    expect((await open.server.inject({ url: '/metrics', remoteAddress: '192.0.2.1' })).statusCode).toBe(200)
  })
})

it('logs a request once, without path, query, headers or body (V17)', async () => {
  await using fixture = await aServer()
  const headers = {
    authorization: 'DPoP hunter2',
    dpop: 'hunter2',
    cookie: 's=hunter2',
    'content-type': 'application/json',
  }
  await fixture.server.inject({ method: 'POST', url: '/echo?token=hunter2', headers, payload: '{"token":"hunter2"}' })
  await fixture.server.inject({ method: 'POST', url: '/echo', headers, payload: '{"hunter2"}' })
  await fixture.server.inject({ url: '/hunter2/hunter2', headers })
  const lines = fixture.log().trim().split('\n')
  expect(fixture.log()).not.toContain('hunter2')
  expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
    { level: 'debug', method: 'POST', route: '/echo', status: 200, msg: 'answered' },
    { level: 'info', route: '/echo', status: 400, err: { code: 'json_malformed', detail: 'not JSON' } },
    { level: 'info', route: 'unknown', status: 404, msg: 'route_unknown' },
  ])
})

it('logs an unready answer at debug only: the poller notices', async () => {
  await using fixture = await aServer()
  fixture.health.check('state', () => 'stale')
  await fixture.server.inject({ url: '/readyz' })
  expect(JSON.parse(fixture.log().trim())).toMatchObject({ level: 'debug', route: '/readyz', status: 503 })
})
