import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { aPoint, FakePdp } from '@bailiwick/pep/fake-pdp'
import { describe, expect, it } from 'vitest'
import { openRelay, type RelayOptions } from '../relay.ts'
import { openSecrets } from '../secrets/secrets.ts'
import { httpUpstream } from './http-upstream.ts'
import { relayListener } from './listener.ts'
import { type Arrived, chunk, chunkedHead, RawServer, whole } from './raw-server.fixture.ts'
import type { ReceiveOptions } from './receive.ts'

const secret = 'sk-0123456789abcdefghij'

/** A proxy in small: client → gate → decision → upstream. */
async function proxy(
  answer: (arrived: Arrived) => void = ({ socket }) => socket.write(whole('{"done":true}')),
  options: Partial<ReceiveOptions> & Partial<RelayOptions> = {},
) {
  const behind = await RawServer.start(answer)
  const pdp = await FakePdp.start()
  const point = await aPoint(pdp)
  const secrets = openSecrets({ env: { KEY: secret } })
  const upstream = httpUpstream({ name: 'api', url: behind.url, secrets, inject: { 'x-api-key': '${secret:env:KEY}' } })
  const errors: unknown[] = []
  const relay = openRelay({ ...options, point, upstream })
  const listener = relayListener({
    baseUrl: 'https://api.example',
    ...options,
    relay,
    onError: (error) => errors.push(error),
  })
  const server = createServer((request, response) => void listener(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo

  /** Sends bytes as they are, and resolves with everything that comes back until the server closes or `until` is found in it. */
  function send(bytes: string, until?: RegExp): Promise<string> {
    return new Promise((resolve) => {
      let text = ''
      const socket = connect(port, '127.0.0.1', () => socket.write(bytes, 'latin1'))
      socket.on('data', (part) => {
        text += part.toString('latin1')
        if (until?.test(text)) socket.destroy()
      })
      socket.on('close', () => resolve(text)).on('error', () => undefined)
    })
  }
  return {
    ...{ behind, pdp, point, port, send, errors },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await point[Symbol.asyncDispose]()
      await upstream[Symbol.asyncDispose]()
      await behind[Symbol.asyncDispose]()
      await pdp[Symbol.asyncDispose]()
    },
  }
}

const auth = 'Authorization: DPoP a.b.c\r\nDPoP: d.e.f\r\n'
const json = 'Content-Type: application/json\r\n'
const post = (fields: string, body = '', target = '/a', end = 'Connection: close\r\n') =>
  `POST ${target} HTTP/1.1\r\nHost: api.example\r\n${auth}${end}${fields}\r\n${body}`
const codeIn = (text: string) => /"code":"(\w+)"/.exec(text)?.[1]

describe('bytes that two servers would read differently', () => {
  it.each<[string, string, string?]>([
    [
      'both lengths, CL.TE',
      post(`${json}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n`, '0\r\n\r\nGET /admin HTTP/1.1\r\n\r\n'),
    ],
    ['both lengths, TE.CL', post(`${json}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n`, '2\r\n{}\r\n0\r\n\r\n')],
    ['two lengths', post(`${json}Content-Length: 2\r\nContent-Length: 3\r\n`, '{} ')],
    ['the same length twice', post(`${json}Content-Length: 2\r\nContent-Length: 2\r\n`, '{}')],
    ['a list of lengths', post(`${json}Content-Length: 2, 2\r\n`, '{}')],
    ['a length with a sign', post(`${json}Content-Length: +2\r\n`, '{}')],
    [
      'chunked twice',
      post(`${json}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n`, '2\r\n{}\r\n0\r\n\r\n'),
    ],
    ['chunked after another coding', post(`${json}Transfer-Encoding: gzip, chunked\r\n`, '2\r\n{}\r\n0\r\n\r\n')],
    ['a coding that is nearly chunked', post(`${json}Transfer-Encoding: xchunked\r\n`, '2\r\n{}\r\n0\r\n\r\n')],
    ['a space before the colon', post(`${json}Transfer-Encoding : chunked\r\n`, '2\r\n{}\r\n0\r\n\r\n')],
    ['a folded field', post(`${json}X-A: 1\r\n Transfer-Encoding: chunked\r\nContent-Length: 2\r\n`, '{}')],
    ['a bare line feed', post(`${json}X-A: 1\nX-B: 2\r\nContent-Length: 2\r\n`, '{}')],
    ['a bare carriage return', post(`${json}X-A: 1\rX-B: 2\r\nContent-Length: 2\r\n`, '{}')],
    ['a NUL in a field', post(`${json}X-A: a\0b\r\nContent-Length: 2\r\n`, '{}')],
    ['a chunk size that is none', post(`${json}Transfer-Encoding: chunked\r\n`, '0x2\r\n{}\r\n0\r\n\r\n')],
    ['a chunk size with a sign', post(`${json}Transfer-Encoding: chunked\r\n`, '+2\r\n{}\r\n0\r\n\r\n')],
    [
      'trailers',
      post(`${json}Transfer-Encoding: chunked\r\n`, '2\r\n{}\r\n0\r\nX-Role: admin\r\n\r\n'),
      'trailers_forbidden',
    ],
    ['a trailer that is announced', post(`${json}Trailer: X-Role\r\nContent-Length: 2\r\n`, '{}'), 'header_forbidden'],
    ['two hosts', post(`${json}Host: evil.example\r\nContent-Length: 2\r\n`, '{}')],
    ['two credentials', post(`${json}Authorization: DPoP x.y.z\r\nContent-Length: 2\r\n`, '{}'), 'header_repeated'],
    [
      'a field in Connection',
      post(`${json}X-Permit: 1\r\nContent-Length: 2\r\n`, '{}', '/a', 'Connection: close, x-permit\r\n'),
      'header_connection_forbidden',
    ],
    [
      'a target with a host',
      post(`${json}Content-Length: 2\r\n`, '{}', 'http://evil.example/a'),
      'target_form_forbidden',
    ],
    ['a target without a path', post(`${json}Content-Length: 2\r\n`, '{}', '*')],
    ['two slashes', post(`${json}Content-Length: 2\r\n`, '{}', '//evil.example/a'), 'path_segment_empty'],
    ['dots', post(`${json}Content-Length: 2\r\n`, '{}', '/a/../b'), 'path_segment_dots'],
    ['an escaped slash', post(`${json}Content-Length: 2\r\n`, '{}', '/a%2fb'), 'path_escape_forbidden'],
    ['a long target', post(`${json}Content-Length: 2\r\n`, '{}', `/${'a'.repeat(9000)}`), 'target_too_long'],
    ['Expect', post(`${json}Expect: 100-continue\r\nContent-Length: 2\r\n`, '{}')],
    [
      'another method',
      post(`${json}X-HTTP-Method-Override: DELETE\r\nContent-Length: 2\r\n`, '{}'),
      'header_forbidden',
    ],
    [
      'a WebSocket with a body',
      post(`${json}Upgrade: websocket\r\nContent-Length: 2\r\n`, '{}', '/a', 'Connection: Upgrade\r\n'),
    ],
    [
      'a packed body',
      post(`${json}Content-Encoding: gzip\r\nContent-Length: 2\r\n`, '{}'),
      'content_encoding_forbidden',
    ],
    ['a body without a media type', post('Content-Length: 2\r\n', '{}'), 'content_type_unsupported'],
    ['a key twice', post(`${json}Content-Length: 13\r\n`, '{"a":1,"a":2}'), 'json_malformed'],
    [
      'a body of a method without one',
      `GET /a HTTP/1.1\r\nHost: a\r\n${auth}${json}Connection: close\r\nContent-Length: 2\r\n\r\n{}`,
      'request_malformed',
    ],
    ['CONNECT', `CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n${auth}\r\n`],
    ['TRACE', `TRACE /a HTTP/1.1\r\nHost: a\r\n${auth}Connection: close\r\n\r\n`, 'method_not_allowed'],
    ['no version', `GET /a\r\n\r\n`, 'http_version_forbidden'],
    ['HTTP/1.0', post(`${json}Content-Length: 2\r\n`, '{}').replace('HTTP/1.1', 'HTTP/1.0'), 'http_version_forbidden'],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ])('reach nothing: %s', async (_, bytes, code) => {
    await using w = await proxy()
    const answer = await w.send(bytes)
    expect(answer).not.toMatch(/^HTTP\/1.1 2/m)
    if (code) expect(codeIn(answer)).toBe(code)
    expect(w.behind.bytes.join('')).toBe('')
    expect(w.pdp.evaluations).toEqual([])
    expect(w.errors).toEqual([])
  })

  it('lose their framing here: extensions of chunks do not go on', async () => {
    await using w = await proxy()
    const body = '1;ext="a\0b"\r\n{\r\n1;x\r\n}\r\n0\r\n\r\n'.replace('\0', '')
    expect(await w.send(post(`${json}Transfer-Encoding: chunked\r\n`, body))).toContain('{"done":true}')
    expect(w.behind.arrived.map(({ body }) => body)).toEqual(['{}'])
    expect(w.behind.bytes.join('')).not.toMatch(/ext|chunked/i)
    expect(w.behind.arrived[0]?.head).toMatch(/\r\ncontent-length: 2\r\n/)
  })

  it('in one connection are requests of their own: each is decided', async () => {
    await using w = await proxy()
    const hidden = `POST /hidden HTTP/1.1\r\nHost: a\r\n${auth}${json}Content-Length: 2\r\nConnection: close\r\n\r\n{}`
    w.pdp.answer = (asked) =>
      asked.resource.id === 'api/a'
        ? w.pdp.allow(asked)
        : { body: { decision: false, context: { reason: 'action_not_granted' } } }
    const answer = await w.send(post(`${json}Content-Length: 2\r\n`, `{}${hidden}`, '/a', ''))
    expect(answer).toContain('action_not_granted')
    expect(w.behind.arrived.map(({ target }) => target)).toEqual(['/a'])
  })
})

describe('a body', () => {
  it.each<[string, string]>([
    ['that is announced too long', post(`${json}Content-Length: 2000\r\n`)],
    ['that becomes too long', post(`${json}Transfer-Encoding: chunked\r\n`, chunk('x'.repeat(600)).repeat(2))],
  ])('%s is refused, not cut', async (_, bytes) => {
    await using w = await proxy(undefined, { mostBytes: 1000 })
    expect(codeIn(await w.send(bytes, /"code"/))).toBe('body_too_large')
    expect(w.behind.bytes.join('')).toBe('')
  })

  it('that does not come in time is refused', async () => {
    await using w = await proxy(undefined, { bodyMs: 100 })
    expect(codeIn(await w.send(post(`${json}Content-Length: 10\r\n`, '{"a"'), /"code"/))).toBe('request_timed_out')
    expect(w.pdp.evaluations).toEqual([])
  })

  it('goes on byte for byte', async () => {
    await using w = await proxy()
    const body = ' { "\\u0061" : 1.50, "z":"\u00e9" , "b":[ ] } '
    const bytes = Buffer.from(body).toString('latin1')
    await w.send(post(`${json}X-Not-Forwarded: 1\r\nContent-Length: ${bytes.length}\r\n`, bytes, '/a/%C3%A9?q=%20'))
    expect(w.pdp.evaluations[0]).toMatchObject({
      action: { name: 'http/POST', properties: { query: { q: ' ' }, body: { a: 1.5, z: 'é', b: [] } } },
      resource: { type: 'http', id: 'api/a/%C3%A9' },
      context: { bailiwick: { credential: 'a.b.c', proof: 'd.e.f', htm: 'POST', htu: 'https://api.example/a/%C3%A9' } },
    })
    const [arrived] = w.behind.arrived
    expect(arrived?.body).toBe(bytes)
    expect(arrived?.head.toLowerCase()).toBe(
      [
        'post /a/%c3%a9?q=%20 http/1.1',
        `host: 127.0.0.1:${w.behind.port}`,
        'connection: keep-alive',
        'content-type: application/json',
        `x-api-key: ${secret}`,
        'accept-encoding: identity',
        `content-length: ${bytes.length}`,
        '\r\n',
      ].join('\r\n'),
    )
  })
})

describe('a denial', () => {
  it.each<[string, string, RegExp[]]>([
    ['action_not_granted', 'HTTP/1.1 403', [/"code":"action_not_granted"/]],
    ['credential_missing', 'HTTP/1.1 401', [/www-authenticate: DPoP algs=/i]],
    ['proof_nonce_required', 'HTTP/1.1 401', [/error="use_dpop_nonce"/, /dpop-nonce: n1/i]],
    ['budget_reserved', 'HTTP/1.1 403', [/retry-after: \d/i]],
  ])('%s says how to go on', async (reason, status, parts) => {
    await using w = await proxy()
    w.pdp.answer = () => ({ body: { decision: false, context: { reason, dpop_nonce: 'n1' } } })
    const answer = await w.send(post(`${json}Content-Length: 2\r\n`, '{}'))
    expect(answer.startsWith(status)).toBe(true)
    for (const part of parts) expect(answer).toMatch(part)
    expect(w.behind.bytes.join('')).toBe('')
  })

  it('of another scheme says so, and the credential goes nowhere (V11)', async () => {
    await using w = await proxy()
    const answer = await w.send(
      `POST /a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a.b.c\r\nConnection: close\r\n\r\n`,
    )
    expect(answer).toMatch(/^HTTP\/1.1 401/)
    expect(w.pdp.evaluations).toEqual([])
  })
})

describe('an answer', () => {
  const flowing = ({ socket }: Arrived) => {
    socket.write(chunkedHead('text/event-stream'))
    const timer = setInterval(() => socket.write(chunk('data: {"tick":1,"iban":"DE1"}\n\n')), 5)
    socket.on('close', () => clearInterval(timer))
  }

  it('ends for the client, and its upstream, when the grant is withdrawn (V7)', async () => {
    await using w = await proxy(flowing)
    w.pdp.openCalls = ([decision_id]) => ({ body: { over: [{ decision_id, reason: 'grant_revoked' }], unknown: [] } })
    const answer = await w.send(post(`${json}Content-Length: 2\r\n`, '{}'))
    expect(answer).toContain('"tick":1')
    expect(answer.endsWith('0\r\n\r\n')).toBe(false) // not mistaken for a whole one
    await expect
      .poll(() => w.pdp.outcomes)
      .toMatchObject([{ status: 'unknown', cut: 'grant_revoked', http_status: 200 }])
    await expect.poll(() => w.behind.arrived[0]?.socket.destroyed).toBe(true)
  })

  it('flows for as long as its request may', async () => {
    await using w = await proxy(flowing, { answerSeconds: ({ target }) => (target === '/a' ? 1 : 600) })
    const answer = await w.send(post(`${json}Content-Length: 2\r\n`, '{}'))
    expect(answer).toContain('"tick":1')
    expect(w.pdp.evaluations[0]?.context.bailiwick).toMatchObject({ answer_seconds: 1 })
    await expect.poll(() => w.pdp.outcomes).toMatchObject([{ status: 'unknown', cut: 'deadline_exceeded' }])
  })

  it('is given up when the client goes', async () => {
    await using w = await proxy(flowing)
    await w.send(post(`${json}Content-Length: 2\r\n`, '{}'), /tick/)
    await expect.poll(() => w.pdp.outcomes).toMatchObject([{ status: 'unknown', http_status: 200 }])
    await expect.poll(() => w.behind.arrived[0]?.socket.destroyed).toBe(true)
  })

  it('ends when the grant is withdrawn although the client does not read', async () => {
    const flood = ({ socket }: Arrived) => {
      socket.write(chunkedHead('text/plain'))
      const more = () => {
        while (!socket.destroyed && socket.write(chunk('x'.repeat(65_536))));
      }
      socket.on('drain', more)
      more()
    }
    await using w = await proxy(flood)
    const client = connect(w.port, '127.0.0.1', () => client.write(post(`${json}Content-Length: 2\r\n`, '{}')))
    client.on('error', () => undefined).pause()
    await expect.poll(() => w.behind.arrived.length).toBe(1)
    w.pdp.openCalls = ([decision_id]) => ({ body: { over: [{ decision_id, reason: 'grant_revoked' }], unknown: [] } })
    await expect.poll(() => w.pdp.outcomes).toMatchObject([{ status: 'unknown', cut: 'grant_revoked' }])
    await expect.poll(() => w.behind.arrived[0]?.socket.destroyed).toBe(true)
    client.destroy()
  })

  const redact = { id: 'r', type: 'custom', properties: { vendor: 'bailiwick', action: 'redact', fields: ['iban'] } }

  it('that flows hides fields event by event', async () => {
    await using w = await proxy(flowing)
    w.pdp.answer = (asked) => w.pdp.allow(asked, { obligations: [redact] })
    const answer = await w.send(post(`${json}Content-Length: 2\r\n`, '{}'), /tick.*tick/s)
    expect(answer).toContain('data: {"tick":1,"iban":"[redacted]"}\n\n')
    expect(answer).not.toContain('DE1')
  })

  it.each<[string, string, string]>([
    ['JSON', whole('{"a":[{"iban":"DE1"}]}'), '{"a":[{"iban":"[redacted]"}]}'],
    ['nothing', whole(''), ''],
  ])('that is %s hides fields and has its own length', async (_, answer, shown) => {
    await using w = await proxy(({ socket }) => socket.write(answer))
    w.pdp.answer = (asked) => w.pdp.allow(asked, { obligations: [redact] })
    const text = await w.send(post(`${json}Content-Length: 2\r\n`, '{}'))
    expect(text).toMatch(/^HTTP\/1.1 200/)
    expect(text).not.toContain('DE1')
    if (shown) expect(text).toContain(shown)
    await expect.poll(() => w.pdp.outcomes).toMatchObject([{ status: 'succeeded', egress_bytes: shown.length }])
  })

  it.each<[string, string]>([
    ['text', whole('iban: DE1', 'content-type: text/plain\r\n')],
    ['JSON of two readings', whole('{"iban":"DE1","iban":"DE2"}')],
    ['bytes that are no UTF-8', whole('"\xff DE1"')],
    ['longer than can be held', whole(`{"iban":"DE1","a":"${'x'.repeat(5000)}"}`)],
  ])('that is %s is withheld where fields must be hidden', async (_, answer) => {
    await using w = await proxy(({ socket }) => socket.write(answer, 'latin1'), { mostHeldBytes: 4096 })
    w.pdp.answer = (asked) => w.pdp.allow(asked, { obligations: [redact] })
    const text = await w.send(post(`${json}Content-Length: 2\r\n`, '{}'))
    expect(codeIn(text)).toBe('answer_withheld')
    expect(text).not.toContain('DE1')
    await expect.poll(() => w.pdp.outcomes).toMatchObject([{ status: 'succeeded', egress_bytes: 0 }])
  })
})

describe('two replicas', () => {
  it('do not both act on one request: the permit of one is none for the other (V1)', async () => {
    await using w = await proxy()
    await using other = await proxy()
    // The other replica asks the same decision point, which answers a repeated call id with the same permit, as an attacker would.
    let first: ReturnType<FakePdp['allow']> | undefined
    w.pdp.answer = (asked) => (first = w.pdp.allow(asked))
    other.pdp.answer = () => first ?? {}
    const request = post(`${json}Bailiwick-Call-Id: call-0123456789abcdef\r\nContent-Length: 2\r\n`, '{}')
    expect(await w.send(request)).toContain('{"done":true}')
    expect(codeIn(await other.send(request))).toBe('permit_invalid')
    expect(w.behind.arrived).toHaveLength(1)
    expect(other.behind.arrived).toEqual([])
  })
})
