import { once } from 'node:events'
import { connect } from 'node:http2'
import { text } from 'node:stream/consumers'
import type { Arrived } from '@bailiwick/relay/raw-server'
import { whole } from '@bailiwick/relay/raw-server'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { upstreamSecret } from '../e2e/api-world.ts'
import { ApiAttacker, open } from './api-attacks.ts'
import { type Attack2, attackOver2, plus2, with2, without2 } from './http2-attacks.ts'
import { passing, RawAgent } from './raw-request.ts'
import { eventually } from './scene.ts'

/*
 * The attacks of http-framing over HTTP/2, and those that only HTTP/2 has: a request that means something else once it is one of HTTP/1.1.
 * No part of them may reach the API.
 */

/** An answer that never ends, for what watches an invoice. */
const answer = ({ target, socket }: Arrived) => {
  if (!target.endsWith('/changes')) return void socket.write(whole('{}'))
  const head = ['HTTP/1.1 200 OK', 'content-type: text/event-stream', 'transfer-encoding: chunked']
  socket.write(`${head.join('\r\n')}\r\n\r\nc\r\ndata: 1\n\n\n\n\r\n`)
}

let attacker: ApiAttacker
beforeAll(async () => {
  attacker = await ApiAttacker.open({ answer })
})
afterAll(() => attacker?.[Symbol.asyncDispose]())
const attack = (made: Attack2) => attackOver2(attacker, made)

const invoice = '{"amount":1,"currency":"EUR"}'
const create = (body = invoice, more: Partial<Attack2> = {}): Attack2 => ({
  ...{ method: 'POST', target: '/http/erp/invoices', path: '/http/erp/invoices', body },
  ...more,
})
const smuggled = '0\r\n\r\nGET /erp/users HTTP/1.1\r\nHost: x\r\n\r\n'

describe.each<[string, string | undefined, Attack2]>([
  // The framing
  [
    'a coding in place of a length (H2.TE)',
    undefined,
    create(smuggled, { fields: plus2(['transfer-encoding', 'chunked']) }),
  ],
  [
    'a length that is less than the body (H2.CL)',
    undefined,
    create(smuggled, { fields: with2('content-length', '0') }),
  ],
  ['a length that is more than the body', undefined, create(invoice, { fields: with2('content-length', '4000') })],
  ['two lengths', undefined, create(invoice, { fields: plus2(['content-length', '3']) })],
  ['two equal lengths', undefined, create(invoice, { fields: plus2(['content-length', '29']) })],
  ['a length with a sign', undefined, create(invoice, { fields: with2('content-length', '+29') })],
  ['a length as a list', undefined, create(invoice, { fields: with2('content-length', '29, 29') })],
  [
    'trailers',
    'trailers_forbidden',
    create(invoice, {
      frames(wire, fields) {
        wire.headers(1, fields, { ends: false })
        wire.data(1, invoice, false)
        wire.headers(1, [['x-admin', '1']])
      },
    }),
  ],
  [
    'trailers with a method',
    undefined,
    create(invoice, {
      frames(wire, fields) {
        wire.headers(1, fields, { ends: false })
        wire.data(1, invoice, false)
        wire.headers(1, [[':method', 'DELETE']])
      },
    }),
  ],
  [
    'a second head',
    undefined,
    create(invoice, {
      frames(wire, fields) {
        wire.headers(1, fields, { ends: false })
        wire.headers(1, fields, { ends: false })
        wire.data(1, invoice)
      },
    }),
  ],
  [
    'a frame of another stream inside a head',
    undefined,
    create(invoice, {
      frames(wire, fields) {
        wire.headers(1, fields, { isWhole: false, ends: false })
        wire.data(3, smuggled)
        wire.continuation(1, [['x-a', 'b']], true)
      },
    }),
  ],
  [
    'a promise, which only a server may make',
    undefined,
    {
      frames(wire, fields) {
        wire.frame(5, 4, 1, Buffer.alloc(4))
        wire.headers(1, fields)
      },
    },
  ],
  ['a body that GET does not have', 'request_malformed', { body: smuggled }],
  ['a body that DELETE does not have', 'request_malformed', { method: 'DELETE', body: '{"all":true}' }],
  ['an encoded body', 'content_type_unsupported', create(invoice, { fields: plus2(['content-encoding', 'gzip']) })],
  // The pseudo-header fields
  ['another host beside the authority', 'request_malformed', { fields: plus2(['host', 'evil.example']) }],
  ['two authorities', undefined, { fields: plus2([':authority', 'evil.example']) }],
  ['another authority', 'host_unknown', { fields: with2(':authority', 'evil.example') }],
  ['an authority with a user', undefined, { fields: with2(':authority', 'localhost@evil.example') }],
  ['no authority and no host', undefined, { fields: (f) => without2(f, ':authority') }],
  ['two hosts', undefined, { fields: (f) => [...without2(f, ':authority'), ['host', 'localhost'], ['host', 'evil']] }],
  ['a scheme that ends in a target', undefined, { fields: with2(':scheme', 'http://evil.example/?') }],
  ['no scheme', undefined, { fields: (f) => without2(f, ':scheme') }],
  ['two paths', undefined, { fields: plus2([':path', '/http/plain/secret']) }],
  ['no path', undefined, { fields: (f) => without2(f, ':path') }],
  ['a path that is a URL', undefined, { target: 'http://evil.example/http/plain/open/x' }],
  ['a path that is an authority', undefined, { target: '//evil.example/x' }],
  ['a path with a line break', undefined, { target: `${open} HTTP/1.1\r\nTransfer-Encoding: chunked\r\nX: y` }],
  ['a path with a space', undefined, { target: '/http/plain/secret HTTP/1.1' }],
  ['a path that climbs', undefined, { target: '/http/plain/open/../secret' }],
  ['a path that climbs in code', undefined, { target: '/http/plain/open/%2e%2e/secret' }],
  ['a method with a path', undefined, { method: 'GET /http/plain/secret?', target: open }],
  ['a method in small letters', undefined, { method: 'get' }],
  ['TRACE', undefined, { method: 'TRACE' }],
  ['CONNECT', undefined, { method: 'CONNECT', fields: (f) => without2(without2(f, ':scheme'), ':path') }],
  ['extended CONNECT (RFC 8441)', undefined, { method: 'CONNECT', fields: plus2([':protocol', 'websocket']) }],
  ['a pseudo-header field after others', undefined, { fields: (f) => [...without2(f, ':path'), [':path', open]] }],
  ['an unknown pseudo-header field', undefined, { fields: (f) => [[':host', 'evil.example'], ...f] }],
  // The fields
  ...['connection', 'keep-alive', 'proxy-connection', 'upgrade'].map((name): [string, undefined, Attack2] => [
    `a field about the connection: ${name}`,
    undefined,
    { fields: plus2([name, 'dpop']) },
  ]),
  ['TE', undefined, { fields: plus2(['te', 'gzip']) }],
  ['a name in capitals', undefined, { fields: plus2(['X-Original-URL', '/plain/secret']) }],
  ['a method in a field', 'header_forbidden', { fields: plus2(['x-http-method-override', 'DELETE']) }],
  ['a target in a field', 'header_forbidden', { fields: plus2(['x-original-url', '/plain/secret']) }],
  ['Expect', 'header_forbidden', { fields: plus2(['expect', '100-continue']) }],
  ['a range', 'header_forbidden', { fields: plus2(['range', 'bytes=0-1']) }],
  ['a name with an underscore', 'header_name_forbidden', { fields: plus2(['x_forwarded_for', '127.0.0.1']) }],
  ['a value with a tab', 'header_value_forbidden', { fields: plus2(['x-a', 'a\tb']) }],
  ['a field twice', 'header_repeated', { fields: plus2(['idempotency-key', 'a'], ['idempotency-key', 'b']) }],
  ['two media types', 'header_repeated', create(invoice, { fields: plus2(['content-type', 'text/plain']) })],
  // The caller
  ['no credential', 'credential_missing', { fields: (f) => without2(without2(f, 'authorization'), 'dpop') }],
  ['no proof', 'proof_missing', { fields: (f) => without2(f, 'dpop') }],
  ['two credentials', undefined, { fields: (f) => [...f, ...f.filter(([name]) => name === 'authorization')] }],
  ['two proofs', undefined, { fields: (f) => [...f, ...f.filter(([name]) => name === 'dpop')] }],
  ['a proof for another path', 'proof_invalid', { path: '/http/plain/open/y' }],
  ['a page of another site', 'origin_forbidden', { fields: plus2(['origin', 'https://evil.example']) }],
])('%s', (_, code, made) => {
  it('reaches no API', async () => {
    const seen = await attack(made)
    expect(seen).toMatchObject({ arrived: 0, isAnswered: false })
    if (code !== undefined) expect(seen.code).toBe(code)
  })
})

it('loses a field that ends a line, and is decided and sent without it', async () => {
  const seen = await attack({ fields: plus2(['x-a', 'b\r\ntransfer-encoding: chunked'], ['x-b: c\r\nrange', 'd']) })
  expect(seen).toMatchObject({ arrived: 1, isAnswered: true })
  expect(attacker.at.api.arrived.at(-1)?.head).not.toMatch(/chunked|range|x-a/)
})

it('many requests on one connection are each decided by themselves, and the API sees no token of an agent (V17)', async () => {
  const before = attacker.at.api.arrived.length
  await using client = await clientOf()
  const statuses = await Promise.all(
    Array.from({ length: 8 }, (_, n) => client.ask(n % 2 === 0 ? `/http/plain/open/${n}` : `/http/plain/shut/${n}`)),
  )
  expect(statuses).toEqual([200, 403, 200, 403, 200, 403, 200, 403])
  const arrived = attacker.at.api.arrived.slice(before)
  expect(arrived.map(({ target }) => target).toSorted()).toEqual(['0', '2', '4', '6'].map((n) => `/plain/open/${n}`))
  for (const { text: sent } of arrived) {
    expect(sent).toContain(`authorization: Bearer ${upstreamSecret}\r\n`)
    expect(sent).not.toContain(attacker.agent.token)
  }
})

it('a stream of events is cut when the person withdraws, and its connection goes on (V7)', async () => {
  const { grantId, requestId } = await attacker.at.world.granted(attacker.at.authority)
  await using client = await clientOf(await RawAgent.open(attacker.at.world, grantId))
  const stream = await client.flow('/http/erp/invoices/1/changes')
  expect(stream.closed).toBe(false)
  const { socket } = attacker.at.api.arrived.at(-1) ?? {}
  await attacker.at.world.approver.withdraw(requestId)
  await expect.poll(() => [stream.closed, socket?.destroyed], { timeout: 20_000 }).toEqual([true, true])
  expect(stream.rstCode).toBe(2)
  expect(await client.ask('/http/plain/open/x')).toBe(403)
})

it('a client that takes back its stream gives up the call (V7)', async () => {
  await using client = await clientOf()
  const stream = await client.flow('/http/erp/invoices/1/changes')
  const { socket } = attacker.at.api.arrived.at(-1) ?? {}
  stream.close(8)
  await expect.poll(() => socket?.destroyed, { timeout: 20_000 }).toBe(true)
})

/** A client by a library, on one connection. */
async function clientOf(agent = attacker.agent) {
  const { url } = attacker.at.world
  const session = connect(url)
  session.on('error', () => undefined)
  await once(session, 'connect')
  const send = async (target: string) => {
    const own = agent.fields('GET', `${url}${target}`).map((line) => {
      const at = line.indexOf(': ')
      return [line.slice(0, at).toLowerCase(), line.slice(at + 2)]
    })
    const stream = session.request({ ':path': target, ...Object.fromEntries(own) })
    stream.on('error', () => undefined)
    const [headers] = await once(stream, 'response')
    if (headers['dpop-nonce'] !== undefined) agent.nonce = headers['dpop-nonce']
    return { stream, status: headers[':status'] as number, nonce: headers['dpop-nonce'] }
  }
  return {
    ask: (target: string) =>
      eventually('it is decided', async () => {
        const { stream, status, nonce } = await send(target)
        const [, code = ''] = /"code":"([a-z_]+)"/.exec(await text(stream)) ?? []
        return nonce !== undefined || passing.has(code) ? undefined : status
      }),
    flow: (target: string) =>
      eventually('it flows', async () => {
        const { stream, status } = await send(target)
        return status === 200 ? stream : void stream.resume()
      }),
    async [Symbol.asyncDispose]() {
      session.destroy()
    },
  }
}
