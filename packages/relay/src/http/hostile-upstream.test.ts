import { inspect } from 'node:util'
import { errorCode, ServiceError } from '@bailiwick/errors'
import type { Permitted } from '@bailiwick/pep'
import { describe, expect, it } from 'vitest'
import { openSecrets } from '../secrets/secrets.ts'
import type { RelayRequest } from '../upstream.ts'
import { type HttpUpstreamOptions, httpUpstream } from './http-upstream.ts'
import type { Resolve } from './lookup.ts'
import { type Arrived, chunk, chunkedHead, RawServer, whole } from './raw-server.fixture.ts'

const secret = 'sk-0123456789abcdefghij'
const get = (target: string): RelayRequest => ({ method: 'GET', target, headers: [], body: new Uint8Array() })

async function before(answer: (arrived: Arrived) => void, options: Partial<HttpUpstreamOptions> = {}) {
  const server = await RawServer.start(answer)
  const env: Record<string, string | undefined> = { KEY: secret }
  const upstream = httpUpstream({
    name: 'api',
    url: server.url,
    secrets: openSecrets({ env, freshMs: 0 }),
    inject: { 'x-api-key': '${secret:env:KEY}' },
    ...options,
  })
  const stop = new AbortController()
  async function call(target: string) {
    const { status, headers, body } = await upstream.execute({ signal: stop.signal } as Permitted, get(target))
    let text = ''
    for await (const part of body) text += Buffer.from(part).toString('latin1')
    return { status, headers, text }
  }
  return {
    ...{ server, upstream, stop, env, call },
    codeOf: (target: string) =>
      call(target).then(
        ({ text }) => `answered ${text}`,
        (error: unknown) => errorCode(error),
      ),
    async [Symbol.asyncDispose]() {
      await upstream[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

/** Answers with its target, so that a test sees whose answer it got. */
const own = ({ target, socket }: Arrived) => socket.write(whole(`"${target}"`))

describe('an upstream that leads elsewhere', () => {
  it.each([301, 302, 303, 307, 308, 300, 399])('by a redirect with %i is not followed', async (status) => {
    await using there = await RawServer.start(own)
    await using w = await before(({ socket }) =>
      socket.write(whole('', `location: ${there.url}/latest/meta-data\r\n`, `${status} Elsewhere`)),
    )
    expect(await w.codeOf('/a')).toBe('upstream_redirected')
    expect(there.connections).toBe(0)
    expect(w.server.arrived).toHaveLength(1)
  })

  const resolving =
    (...addresses: string[]): Resolve =>
    (_, done) =>
      done(
        null,
        addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      )

  it.each<[string, string[], boolean]>([
    ['this machine', ['127.0.0.1'], false],
    ['a private network', ['10.0.0.1'], false],
    ['a metadata service', ['169.254.169.254'], false],
    ['a metadata service, where private addresses are allowed', ['169.254.169.254'], true],
    ['a metadata service in IPv6', ['::ffff:169.254.169.254'], true],
    ['a metadata service behind a translator', ['64:ff9b::a9fe:a9fe'], true],
    ['a link of one machine', ['fe80::1'], true],
    ['a public address and this machine', ['93.184.216.34', '127.0.0.1'], false],
    ['this machine in IPv6', ['::1'], false],
    ['this machine in another form', ['::ffff:127.0.0.1'], false],
    ['nothing', [], false],
  ])('by its name, which is %s, gets no byte', async (_, addresses, isPrivate) => {
    await using w = await before(own, { resolve: resolving(...addresses), isPrivate })
    const { port } = w.server
    const upstream = httpUpstream({
      ...{ name: 'api', url: `http://api.example:${port}`, secrets: openSecrets(), isPrivate },
      resolve: resolving(...addresses),
    })
    const signal = new AbortController().signal
    await expect(upstream.execute({ signal } as Permitted, get('/a'))).rejects.toThrow('upstream_address_forbidden')
    expect(w.server.connections).toBe(0)
    await upstream[Symbol.asyncDispose]()
  })

  it('is reached by the private address that is configured, and by a name where that is allowed', async () => {
    await using w = await before(own)
    expect((await w.call('/a')).text).toBe('"/a"')
    await using named = await before(own, { resolve: resolving('127.0.0.1') })
    const url = `http://api.internal:${named.server.port}`
    const upstream = httpUpstream({
      name: 'api',
      url,
      secrets: openSecrets(),
      isPrivate: true,
      resolve: resolving('127.0.0.1'),
    })
    const { status, body } = await upstream.execute({ signal: w.stop.signal } as Permitted, get('/a'))
    for await (const _ of body);
    expect(status).toBe(200)
    await upstream[Symbol.asyncDispose]()
  })

  it('keeps its sessions, challenges and origins to itself', async () => {
    const fields = [
      'Set-Cookie: session=1',
      'WWW-Authenticate: Bearer resource_metadata="https://evil.example"',
      'Access-Control-Allow-Origin: *',
      'DPoP-Nonce: evil',
      'Bailiwick-Decision-Id: dec_evil',
      'Alt-Svc: h2="evil.example:443"',
      'Refresh: 0; url=https://evil.example',
      'Connection: X-Named',
      'X-Named: 1',
      `X-Echo: ${secret}`,
      'X-Kept: a',
      'X-Kept: b',
    ]
    await using w = await before(({ socket }) => socket.write(whole('{}', `${fields.join('\r\n')}\r\n`, '401 No')))
    expect(await w.call('/a')).toEqual({
      status: 401,
      headers: ['X-Kept', 'a', 'X-Kept', 'b', 'content-length', '2'],
      text: '{}',
    })
  })
})

describe('an upstream that does not answer as it should', () => {
  it.each<[string, string, string, Partial<HttpUpstreamOptions>?]>([
    ['says nothing', '', 'upstream_timed_out', { headMs: 100 }],
    ['stops inside the head', 'HTTP/1.1 200 OK\r\nx-a', 'upstream_timed_out', { headMs: 100 }],
    ['stops inside the body', `HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc`, 'upstream_timed_out', { idleMs: 100 }],
    ['stops inside a chunk', `${chunkedHead('text/plain')}5\r\nab`, 'upstream_timed_out', { idleMs: 100 }],
    ['sends informational answers for ever', 'HTTP/1.1 103 Hints\r\n\r\n'.repeat(20), 'upstream_failed'],
    [
      'wants to switch',
      'HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
      'upstream_failed',
    ],
    ['goes on although it was not asked', 'HTTP/1.1 100 Continue\r\n\r\n', 'upstream_failed'],
    ['has two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc', 'upstream_failed'],
    [
      'has a length and chunks',
      `${chunkedHead('a/b').slice(0, -2)}content-length: 5\r\n\r\n${chunk('a')}0\r\n\r\n`,
      'upstream_failed',
    ],
    ['has a length that is none', 'HTTP/1.1 200 OK\r\ncontent-length: 1e3\r\n\r\nabc', 'upstream_failed'],
    ['has a chunk that is none', `${chunkedHead('a/b')}zz\r\nabc\r\n`, 'upstream_failed'],
    ['folds a field', 'HTTP/1.1 200 OK\r\nx-a: 1\r\n x-b: 2\r\ncontent-length: 0\r\n\r\n', 'upstream_failed'],
    ['has a space before a colon', 'HTTP/1.1 200 OK\r\nx-a : 1\r\ncontent-length: 0\r\n\r\n', 'upstream_failed'],
    ['speaks no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n', 'upstream_failed'],
    ['has no end of its head', `HTTP/1.1 200 OK\r\n${`x-a: ${'a'.repeat(1000)}\r\n`.repeat(40)}`, 'upstream_failed'],
    ['packs its answer', whole('\x1f\x8b\x08\x00', 'content-encoding: gzip\r\n'), 'upstream_failed'],
    ['packs its answer twice', whole('x', 'content-encoding: identity\r\ncontent-encoding: br\r\n'), 'upstream_failed'],
    [
      'answers a gigabyte',
      `HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n${'x'.repeat(2000)}`,
      'upstream_too_large',
      { mostAnswerBytes: 1000 },
    ],
    [
      'answers without end',
      `${chunkedHead('a/b')}${chunk('x'.repeat(600)).repeat(4)}`,
      'upstream_too_large',
      { mostAnswerBytes: 1000 },
    ],
    ['repeats the secret', whole(`{"headers":{"x-api-key":"${secret}"}}`), 'answer_withheld'],
  ])('because it %s', async (_, answer, code, options) => {
    await using w = await before(({ socket }) => socket.write(answer, 'latin1'), options)
    expect(await w.codeOf('/a')).toBe(code)
    expect(w.server.arrived).toHaveLength(1)
  })

  it.each<[string, string]>([
    ['before its head', ''],
    ['inside its head', 'HTTP/1.1 200 OK\r\nx-a: 1\r\n'],
    ['inside its body', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc'],
    ['inside a chunk', `${chunkedHead('text/plain')}5\r\nab`],
    ['before the last chunk', `${chunkedHead('text/plain')}${chunk('abc')}`],
  ])('because it breaks off %s gets the request once', async (_, answer) => {
    await using w = await before(({ socket }) => socket.end(answer))
    expect(await w.codeOf('/a')).toBe('upstream_failed')
    expect(w.server.arrived).toHaveLength(1)
    expect(w.server.connections).toBe(1)
  })

  it.each<[string, string]>([
    ['before its head', `${secret}\r\n\r\n`],
    ['in a broken head', `HTTP/1.1 200 OK\r\nx-a: ${secret}\r\n${secret}\r\n\r\n`],
    ['in a broken chunk', `${chunkedHead('text/plain')}${secret}\r\n`],
  ])('and repeats the secret %s shows it in no error (V17)', async (_, answer) => {
    await using w = await before(({ socket }) => socket.write(answer))
    const error: unknown = await w.call('/a').catch((thrown: unknown) => thrown)
    expect(errorCode(error)).toBe('upstream_failed')
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(secret)
  })

  it('is not asked for a packed answer', async () => {
    await using w = await before(own)
    await w.call('/a')
    expect(w.server.arrived[0]?.head).toContain('\r\naccept-encoding: identity\r\n')
  })
})

describe('an upstream that stages a second answer (CVE-2026-48931)', () => {
  it.each<[string, (socket: Arrived['socket'], answer: string) => void]>([
    ['in the same packet', (socket, answer) => socket.write(answer + whole('"staged"'))],
    [
      'a moment later',
      (socket, answer) => socket.write(answer, () => setTimeout(() => socket.write(whole('"staged"')), 20)),
    ],
    ['behind an answer without content', (socket) => socket.write(`HTTP/1.1 204 No\r\n\r\n${whole('"staged"')}`)],
    [
      'as the content of one that has none',
      (socket) => socket.write(`HTTP/1.1 304 Not\r\ncontent-length: 50\r\n\r\n${whole('"staged"')}`),
    ],
    [
      'as more than its length',
      (socket) => socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}${whole('"staged"')}`),
    ],
  ])('%s cannot answer another call with it', async (_, stage) => {
    await using w = await before((arrived) =>
      arrived.target === '/first' ? stage(arrived.socket, whole('"/first"')) : own(arrived),
    )
    await w.call('/first')
    await expect.poll(() => w.server.arrived[0]?.socket.destroyed).toBe(true)
    const answers = await Promise.all(['/a', '/b', '/c'].map((target) => w.call(target)))
    expect(answers.map(({ text }) => text)).toEqual(['"/a"', '"/b"', '"/c"'])
  })

  it('while other calls are under way cannot answer them with it', async () => {
    await using w = await before(({ target, socket }) => socket.write(whole(`"${target}"`) + whole('"staged"')))
    const targets = Array.from({ length: 50 }, (_, n) => `/${n}`)
    const answers = await Promise.all(targets.map((target) => w.call(target)))
    expect(answers.map(({ text }) => text)).toEqual(targets.map((target) => `"${target}"`))
  })
})

describe('a call that was cut', () => {
  it('shows nothing that comes afterwards, and nothing that had come and was not read', async () => {
    let late = () => {}
    await using w = await before(({ socket }) => {
      socket.write(chunkedHead('text/plain') + chunk('early'))
      late = () => socket.write(`${chunk('late')}0\r\n\r\n`)
    })
    const { body } = await w.upstream.execute({ signal: w.stop.signal } as Permitted, get('/a'))
    w.stop.abort(new ServiceError('stream_cut', 'grant_revoked'))
    late()
    await expect(body[Symbol.asyncIterator]().next()).rejects.toThrow('stream_cut: grant_revoked')
    await expect.poll(() => w.server.arrived[0]?.socket.destroyed).toBe(true)
  })

  it('before it was sent sends nothing', async () => {
    await using w = await before(own)
    w.stop.abort(new ServiceError('stream_cut', 'grant_revoked'))
    await expect(w.call('/a')).rejects.toThrow('stream_cut: grant_revoked')
    expect(w.server.bytes.join('')).toBe('')
  })
})

describe('connections', () => {
  it('are used again, one call at a time', async () => {
    await using w = await before(own)
    for (const target of ['/a', '/b', '/c']) {
      await w.call(target)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(w.server.connections).toBe(1)
  })

  it('that carried one secret do not carry another', async () => {
    await using w = await before(own)
    await w.call('/a')
    w.env.KEY = `${secret}-rotated`
    await w.call('/b')
    expect(w.server.connections).toBe(2)
    expect(w.server.bytes[0]).not.toContain('rotated')
    expect(w.server.arrived[1]?.head).toContain(`\r\nx-api-key: ${secret}-rotated\r\n`)
  })

  it('are bounded: a call too many is refused, and nothing of it is sent', async () => {
    await using w = await before(() => undefined, { mostCalls: 1 })
    const first = w.call('/a').catch(() => undefined)
    await expect.poll(() => w.server.arrived.length).toBe(1)
    expect(await w.codeOf('/b')).toBe('upstream_busy')
    expect(w.server.arrived).toHaveLength(1)
    w.stop.abort(new Error('over'))
    await first
  })

  it('to a server that is gone are given up', async () => {
    await using w = await before(own)
    await w.server.vanish()
    expect(await w.codeOf('/a')).toBe('upstream_unreachable')
  })

  it('are not opened without the secret', async () => {
    await using w = await before(own)
    w.env.KEY = undefined
    expect(await w.codeOf('/a')).toBe('secret_unavailable')
    expect(w.server.connections).toBe(0)
  })
})

describe('the settings of an upstream', () => {
  it.each<[string, Partial<HttpUpstreamOptions>]>([
    ['another scheme', { url: 'ftp://a.example' }],
    ['no URL', { url: 'a.example' }],
    ['credentials in the URL', { url: 'http://u:p@a.example' }],
    ['a query', { url: 'http://a.example/?a' }],
    ['a fragment', { url: 'http://a.example/#a' }],
    ['dots', { url: 'http://a.example/a/../b' }],
    ['two slashes', { url: 'http://a.example//b' }],
    ['a secret that cannot be', { inject: { authorization: '${secret:what:X}' } }],
    ['a field that is none', { inject: { 'a b': 'c' } }],
    ['the caller’s credential', { forward: ['Authorization'] }],
    ['the caller’s cookies', { forward: ['cookie'] }],
    ['a length', { forward: ['content-length'] }],
    ['a field that is injected', { forward: ['x-api-key'], inject: { 'X-API-Key': 'a' } }],
  ])('with %s are refused', (_, options) => {
    expect(() => httpUpstream({ name: 'a', url: 'http://a.example', secrets: openSecrets(), ...options })).toThrow(
      'config_invalid',
    )
  })
})
