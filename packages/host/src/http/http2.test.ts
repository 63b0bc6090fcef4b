import { once } from 'node:events'
import type { OutgoingHttpHeaders } from 'node:http2'
import { get } from 'node:https'
import { createConnection } from 'node:net'
import { text } from 'node:stream/consumers'
import { after } from '@bailiwick/kit'
import { describe, expect, it } from 'vitest'
import { aServer, listening, speak } from './http.fixture.ts'
import { ask, both, held, patiently, post } from './http2.fixture.ts'
import { Http2Wire, requestFields } from './http2-wire.fixture.ts'
import { testTls } from './tls.fixture.ts'

describe('a request of HTTP/2', () => {
  it('is one of HTTP/1.1 to its route, on a connection that carries nothing else', async () => {
    await using at = await both()
    const answer = await ask(at.session, { ':path': '/fields', accept: 'x/y', cookie: 'a=1' })
    expect(answer.headers).toMatchObject({ ':status': 200, 'x-twice': 'a, b', 'x-caller': '127.0.0.1' })
    expect(answer.headers['x-request-id']).toMatch(/./)
    expect([answer.headers.connection, answer.headers['transfer-encoding']]).toEqual([undefined, undefined])
    expect(JSON.parse(answer.body)).toEqual({
      version: '1.1',
      fields: [...['host', `localhost:${at.port}`, 'accept', 'x/y', 'cookie', 'a=1'], ...['Connection', 'close']],
    })
  })

  it('has a body with a length, without one, or none', async () => {
    await using at = await both()
    const bodies = [
      await ask(at.session, post('/echo', { 'content-length': 7 }), '{"a":1}'),
      await ask(at.session, post('/echo'), '{"a":1}'),
      await ask(at.session, { ':method': 'POST', ':path': '/echo' }),
    ].map(({ headers, body }) => [headers[':status'], JSON.parse(body).body ?? JSON.parse(body).code])
    expect(bodies).toEqual([
      [200, { a: 1 }],
      [200, { a: 1 }],
      [200, undefined],
    ])
  })

  it.each<[string, OutgoingHttpHeaders, string | undefined, number, string]>([
    ['no route', { ':path': '/none' }, undefined, 404, 'route_unknown'],
    ['another method', { ':method': 'PUT', ':path': '/items/1' }, undefined, 405, 'method_not_allowed'],
    ['a body over its limit', post('/echo'), `"${'x'.repeat(200_000)}"`, 413, 'body_too_large'],
    ['a head over its limit', { ':path': '/items/1', 'x-a': 'x'.repeat(20_000) }, undefined, 431, 'headers_too_large'],
    ['a body of another type', post('/echo', { 'content-type': 'text/plain' }), 'x', 415, 'content_type_unsupported'],
  ])('with %s gets the same answer as one of HTTP/1.1', async (_, headers, body, status, code) => {
    await using at = await both()
    const answer = await ask(at.session, headers, body)
    expect([answer.headers[':status'], JSON.parse(answer.body).code]).toEqual([status, code])
  })

  it('loses a field that no field can be, and is decided without it', async () => {
    await using at = await both()
    using wire = await Http2Wire.open(at.port)
    const odd = [['x-a', 'b\r\nx-c: d'] as const, ['x-a: b\r\nx', 'd'] as const]
    wire.headers(1, [...requestFields(at.port, 'GET', '/fields'), ...odd])
    const { body } = await wire.ended(1)
    expect(JSON.parse(body).fields).toEqual(['host', `localhost:${at.port}`, 'Connection', 'close'])
  })

  it('with HEAD has no body', async () => {
    await using at = await both()
    const { headers, body } = await ask(at.session, { ':method': 'HEAD', ':path': '/items/1' })
    expect([headers[':status'], headers['content-length'], body]).toEqual([200, '10', ''])
  })

  it('goes on beside others, and a long answer waits for its reader', async () => {
    await using at = await both()
    const slow = at.session.request({ ':path': '/large' })
    await once(slow, 'response')
    const others = await Promise.all(Array.from({ length: 40 }, (_, n) => ask(at.session, { ':path': `/items/${n}` })))
    expect(new Set(others.map(({ headers }) => headers[':status']))).toEqual(new Set([200]))
    expect((await text(slow)).length).toBe(4 * 1024 * 1024)
  })

  it('waits for the server to say that it may send its body', async () => {
    await using at = await both()
    const stream = at.session.request(post('/echo', { expect: '100-continue' }))
    await once(stream, 'continue')
    stream.end('{}')
    expect(JSON.parse(await text(stream))).toMatchObject({ body: {} })
  })
})

describe('an answer that breaks off', () => {
  it('resets its stream, so that the part does not pass for the whole', async () => {
    await using at = await both()
    const answer = await ask(at.session, { ':path': '/broken' })
    expect([answer.headers[':status'], answer.reset]).toEqual([200, 2])
  })

  it('is given up when its client leaves', async () => {
    await using at = await both()
    const stream = at.session.request({ ':path': '/endless' })
    stream.on('error', () => undefined)
    await once(stream, 'data')
    stream.close(8)
    await expect.poll(() => at.closed, patiently).toEqual([false])
  })

  it('ends with the server, after its time', async () => {
    await using at = await both({ limits: { graceMs: 200 } })
    const stream = at.session.request({ ':path': '/endless' })
    stream.on('error', () => undefined)
    await once(stream, 'data')
    await at.fixture[Symbol.asyncDispose]()
    await expect.poll(() => at.session.destroyed, patiently).toBe(true)
  })
})

describe('the same port', () => {
  it('still speaks HTTP/1.1, with a request in parts of any length', async () => {
    await using at = await both()
    const request = 'GET /items/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
    expect(await speak(at.port, request)).toMatch(/^HTTP\/1\.1 200 /)
    expect(await speak(at.port, 'P', 20, 'RI', 20, ' * HTTP/1.1\r\nHost: localhost\r\n\r\n')).toMatch(
      /^HTTP\/1\.1 400 /,
    )
    const body = 'POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n'
    expect(await speak(at.port, body, 20, 'Content-Length: 7\r\n\r\n{"a"', 20, ':1}')).toContain('{"a":1}')
  })

  it('speaks both over TLS, as the client chooses', async () => {
    await using at = await both({ tls: testTls })
    expect((await ask(at.session, { ':path': '/items/1' })).headers[':status']).toBe(200)
    const [response] = await once(get(`https://localhost:${at.port}/items/1`, { ca: testTls.certificate }), 'response')
    expect([response.httpVersion, response.statusCode]).toEqual(['1.1', 200])
    response.resume()
  })

  it('does not wait for a client that says nothing, or half of the preface (V18)', async () => {
    await using at = await both({ limits: { headersMs: 100, keepAliveMs: 100, answerMs: 100 } })
    at.session.destroy()
    expect(await speak(at.port)).toBe('')
    expect(await speak(at.port, 'PRI * HTTP/2.0\r\n\r\nSM')).toBe('')
    using wire = await Http2Wire.open(at.port)
    await expect.poll(() => wire.isClosed, patiently).toBe(true)
  })

  it('speaks only HTTP/1.1 without the setting', async () => {
    await using fixture = await aServer()
    expect(await speak(await listening(fixture), 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
  })
})

describe('a client of HTTP/2 that does harm (V18)', () => {
  it('gets no more requests at once than a network has connections', async () => {
    await using at = await both({ limits: { maxConnectionsOfOne: 5, graceMs: 100 } })
    const asked = Array.from({ length: 8 }, () => at.session.request({ ':path': '/endless' }))
    const codes: number[] = []
    for (const stream of asked) stream.on('error', () => undefined).on('close', () => codes.push(stream.rstCode))
    // One of the five is the client's own connection.
    await expect.poll(() => codes, patiently).toEqual([7, 7, 7, 7])
  })

  it('that sends a body drop by drop is not waited for', async () => {
    await using at = await both({ limits: { headersMs: 100, requestMs: 150 } })
    const stream = at.session.request(post('/echo'))
    stream.on('error', () => undefined).write('{')
    const [headers] = await once(stream, 'response')
    expect(headers[':status']).toBe(408)
  })

  it('that does not read loses its stream, and then its connection', async () => {
    await using at = await both({ limits: { silenceMs: 200, keepAliveMs: 100, answerMs: 200 } })
    const socket = createConnection(at.port, '127.0.0.1')
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    socket.destroy()
    using wire = await Http2Wire.open(at.port)
    wire.headers(1, requestFields(at.port, 'GET', '/large'))
    const { reset, isWhole } = await wire.ended(1)
    expect([isWhole, reset !== undefined || wire.isClosed]).toEqual([false, true])
    await expect.poll(() => wire.isClosed, patiently).toBe(true)
  })

  it.each<[string, (wire: Http2Wire, port: number, n: number) => void]>([
    [
      'begins streams and takes them back (2023-44487)',
      (wire, port, n) => {
        wire.headers(2 * n + 1, requestFields(port, 'GET', '/items/1'))
        wire.reset(2 * n + 1)
      },
    ],
    ['never ends a head (CONTINUATION, 2024-28182)', continuing],
    ['sends settings without end (2019-9515)', (wire) => wire.settings([[3, 100]])],
    ['pings without end (2019-9512)', (wire) => wire.ping()],
    ['sends empty frames without end (2019-9518)', (wire, port, n) => empty(wire, port, n)],
    [
      'makes the server take back its streams (2025-8671)',
      (wire, port, n) => {
        wire.headers(2 * n + 1, requestFields(port, 'POST', '/echo'), { ends: false })
        wire.widen(2 * n + 1, 2 ** 31 - 1)
      },
    ],
    ['sends requests that are none', (wire, port, n) => wire.headers(2 * n + 1, requestFields(port, 'GET', ''))],
  ])('and %s loses its connection, and no other client anything', async (_, attack) => {
    await using at = await both({ limits: { requestMs: 1000, headersMs: 500, keepAliveMs: 500, answerMs: 200 } })
    using wire = await Http2Wire.open(at.port)
    for (let n = 0; n < 20_000 && !wire.isClosed; n++) {
      attack(wire, at.port, n)
      if (n % 200 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await expect.poll(() => wire.isClosed, patiently).toBe(true)
    at.session.destroy()
    using other = await Http2Wire.open(at.port)
    other.headers(1, requestFields(at.port, 'GET', '/items/1'))
    expect((await other.ended(1)).body).toBe('{"id":"1"}')
    other[Symbol.dispose]()
    await expect.poll(() => held(at.fixture), patiently).toBe(0)
  })
})

function continuing(wire: Http2Wire, port: number, n: number): void {
  if (n === 0) wire.headers(1, requestFields(port, 'GET', '/items/1'), { isWhole: false })
  else wire.continuation(1, [[`x-${n}`, 'y']], false)
}

function empty(wire: Http2Wire, port: number, n: number): void {
  if (n === 0) wire.headers(1, requestFields(port, 'POST', '/echo'), { ends: false })
  else wire.data(1, '', false)
}

describe('what is no request', () => {
  it.each<[string, (port: number) => (readonly [string, string])[]]>([
    ['a pseudo-header field after others', (port) => [['x-a', 'b'], ...requestFields(port, 'GET', '/items/1')]],
    ['two paths', (port) => [...requestFields(port, 'GET', '/items/1'), [':path', '/items/2']]],
    ['another pseudo-header field', (port) => [[':x', 'y'], ...requestFields(port, 'GET', '/items/1')]],
    ['a capital in a name', (port) => [...requestFields(port, 'GET', '/items/1'), ['X-A', 'b']]],
    ['a line break in the path', (port) => requestFields(port, 'GET', '/items/1 HTTP/1.1\r\nx-c: d')],
    ['a space in the path', (port) => requestFields(port, 'GET', '/items/1 HTTP/1.1')],
    ['a space in the method', (port) => requestFields(port, 'GET /items/1', '/items/2')],
    ['Transfer-Encoding', (port) => [...requestFields(port, 'POST', '/echo'), ['transfer-encoding', 'chunked']]],
    ['Connection', (port) => [...requestFields(port, 'GET', '/items/1'), ['connection', 'close']]],
    ['Upgrade', (port) => [...requestFields(port, 'GET', '/items/1'), ['upgrade', 'websocket']]],
    ['TE with another coding', (port) => [...requestFields(port, 'GET', '/items/1'), ['te', 'chunked']]],
    ['extended CONNECT', (port) => [...requestFields(port, 'CONNECT', '/items/1'), [':protocol', 'websocket']]],
    ['another host', (port) => [...requestFields(port, 'GET', '/items/1'), ['host', 'evil.test']]],
    ['a length that is not the body’s', (port) => [...requestFields(port, 'GET', '/items/1'), ['content-length', '9']]],
  ])('reaches no route: %s', async (_, fields) => {
    await using at = await both()
    let routed = 0
    at.fixture.server.server.prependListener('request', () => void routed++)
    using wire = await Http2Wire.open(at.port)
    wire.headers(1, fields(at.port))
    const { reset, body, isClosed } = await wire.ended(1)
    expect(isClosed || reset !== undefined || JSON.parse(body).code === 'request_malformed').toBe(true)
    expect(routed).toBe(0)
  })

  it('a CONNECT is refused by its name', async () => {
    await using at = await both()
    using wire = await Http2Wire.open(at.port)
    wire.headers(
      1,
      [
        [':method', 'CONNECT'],
        [':authority', 'evil.test:443'],
      ],
      { ends: false },
    )
    const { body, reset } = await wire.ended(1)
    expect(reset !== undefined || JSON.parse(body).status >= 400).toBe(true)
  })

  it.each([[true], [false]])('trailers are refused before the body is whole (with a length: %s)', async (hasLength) => {
    await using at = await both()
    using wire = await Http2Wire.open(at.port)
    const length = hasLength ? [['content-length', '2'] as const] : []
    const typed = ['content-type', 'application/json'] as const
    wire.headers(1, [...requestFields(at.port, 'POST', '/echo'), typed, ...length], { ends: false })
    wire.data(1, '{}', false)
    wire.headers(1, [['x-admin', '1']])
    const { body } = await wire.ended(1)
    expect([JSON.parse(body).code, at.handled()]).toEqual(['trailers_forbidden', 0])
  })
})

it('a client that does not wait is slowed down as over HTTP/1.1 (V18)', async () => {
  await using at = await both({ strangers: { perSecond: 1, holdMs: 50 } })
  const statuses = await Promise.all(Array.from({ length: 30 }, () => ask(at.session, { ':path': '/items/1' })))
  expect(statuses.some(({ headers }) => String(headers[':status']) === '429')).toBe(true)
  await after(1)
})
