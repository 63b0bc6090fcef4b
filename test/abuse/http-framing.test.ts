import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { upstreamSecret } from '../e2e/api-world.ts'
import { ApiAttacker, type Attack, chunked, create, framed, open, plus, replaced, without } from './api-attacks.ts'
import { exchangeRaw } from './raw-request.ts'

/*
 * Requests to an HTTP API that end elsewhere for another server, carry fields that speak to one, or come from another caller. No part of them may
 * reach the API. The numbers are those of CVEs in other proxies.
 */

let attacker: ApiAttacker
beforeAll(async () => {
  attacker = await ApiAttacker.open()
})
afterAll(() => attacker?.[Symbol.asyncDispose]())
const attack = (made: Attack) => attacker.attack(made)

describe.each<[string, string | undefined, Attack]>([
  // The framing
  [
    'both lengths (CL.TE)',
    undefined,
    create('0\r\n\r\nGET /erp/users HTTP/1.1\r\n\r\n', { fields: plus('Transfer-Encoding: chunked') }),
  ],
  ['two lengths', undefined, create('{"amount":1,"currency":"EUR"}', { fields: plus('Content-Length: 3') })],
  ['two equal lengths', undefined, create('{"amount":1,"currency":"EUR"}', { fields: plus('Content-Length: 29') })],
  [
    'a length with a sign',
    undefined,
    create('{}', { fields: (f) => replaced(f, 'content-length', 'Content-Length: +2') }),
  ],
  [
    'a length as a list',
    undefined,
    create('{}', { fields: (f) => replaced(f, 'content-length', 'Content-Length: 2, 2') }),
  ],
  ['another coding (TE.TE)', undefined, create('', framed('0\r\n\r\n', 'Transfer-Encoding: xchunked'))],
  ['two codings', undefined, create('', framed('0\r\n\r\n', 'Transfer-Encoding: chunked, identity'))],
  [
    'a coding twice',
    undefined,
    create('', framed('0\r\n\r\n', 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked')),
  ],
  ['a space before the colon', undefined, create('', framed('0\r\n\r\n', 'Transfer-Encoding : chunked'))],
  ['a folded line', undefined, { fields: plus('X-A: b', ' Transfer-Encoding: chunked') }],
  ['a bare carriage return in a field', undefined, { fields: plus('X-A: b\rTransfer-Encoding: chunked') }],
  ['a size of a chunk that is no number', undefined, create('', chunked('-1\r\n{}\r\n0\r\n\r\n'))],
  ['a size of a chunk beyond all numbers', undefined, create('', chunked('fffffffffffffffff\r\n{}\r\n0\r\n\r\n'))],
  ['trailers', 'trailers_forbidden', create('', chunked('2\r\n{}\r\n0\r\nX-Admin: 1\r\n\r\n'))],
  ['a body that GET does not have', 'request_malformed', { body: 'GET /plain/secret HTTP/1.1\r\nHost: x\r\n\r\n' }],
  ['a body that DELETE does not have', 'request_malformed', { method: 'DELETE', body: '{"all":true}' }],
  [
    'a body that is shorter than announced',
    undefined,
    create('{"amount":1,"currency":"EUR"}', {
      fields: (f) => replaced(f, 'content-length', 'Content-Length: 400000000'),
    }),
  ],
  ['an encoded body', undefined, create('{}', { fields: plus('Content-Encoding: gzip') })],
  // The fields
  ['two hosts', undefined, { fields: plus('Host: evil.example') }],
  ['another host', 'host_unknown', { fields: (f) => replaced(f, 'host', 'Host: evil.example') }],
  ['another host with a user', 'host_unknown', { fields: (f) => replaced(f, 'host', 'Host: localhost@evil.example') }],
  [
    'a field that Connection names (2026-33805)',
    'header_connection_forbidden',
    { fields: (f) => replaced(f, 'connection', 'Connection: close, dpop') },
  ],
  ['a method in a field', 'header_forbidden', { fields: plus('X-HTTP-Method-Override: DELETE') }],
  ['a target in a field', 'header_forbidden', { fields: plus('X-Original-URL: /plain/secret') }],
  ['Expect', 'header_forbidden', { fields: plus('Expect: 100-continue') }],
  ['an unknown expectation', undefined, { fields: plus('Expect: 200-ok') }],
  [
    'an upgrade to WebSocket',
    'header_forbidden',
    {
      fields: (f) =>
        replaced(
          f,
          'connection',
          'Connection: Upgrade',
          'Upgrade: websocket',
          'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
          'Sec-WebSocket-Version: 13',
        ),
    },
  ],
  ['an upgrade that Connection does not name', 'header_forbidden', { fields: plus('Upgrade: websocket') }],
  [
    'an upgrade to HTTP/2',
    undefined,
    {
      fields: (f) =>
        replaced(
          f,
          'connection',
          'Connection: Upgrade, HTTP2-Settings',
          'Upgrade: h2c',
          'HTTP2-Settings: AAMAAABkAAQAAP__',
        ),
    },
  ],
  ['the preface of HTTP/2', undefined, { line: 'PRI * HTTP/2.0' }],
  ['a range', 'header_forbidden', { fields: plus('Range: bytes=0-1') }],
  ['TE', 'header_te_forbidden', { fields: plus('TE: gzip') }],
  ['a name with an underscore', 'header_name_forbidden', { fields: plus('X_Forwarded_For: 127.0.0.1') }],
  ['a value with a tab', 'header_value_forbidden', { fields: plus('X-A: a\tb') }],
  ['a field twice (2026-26308)', 'header_repeated', { fields: plus('Idempotency-Key: a', 'Idempotency-Key: b') }],
  [
    'a media type with a tab (2026-25223)',
    'header_value_forbidden',
    create('{}', { fields: (f) => replaced(f, 'content-type', 'Content-Type: application/json\t; a=b') }),
  ],
  ['two media types', 'header_repeated', create('{}', { fields: plus('Content-Type: text/plain') })],
  // The caller
  ['no credential', 'credential_missing', { fields: (f) => without(without(f, 'authorization'), 'dpop') }],
  ['no proof', 'proof_missing', { fields: (f) => without(f, 'dpop') }],
  [
    'a bearer token',
    'proof_missing',
    { fields: (f) => replaced(f, 'authorization', `Authorization: Bearer ${attacker.agent.token}`) },
  ],
  ['two credentials', undefined, { fields: (f) => [...f, `Authorization: DPoP ${attacker.agent.token}`] }],
  [
    'two proofs',
    undefined,
    { fields: (f) => [...f, `DPoP: ${attacker.agent.proof('GET', `${attacker.at.world.url}${open}`)}`] },
  ],
  ['a proof for another path', 'proof_invalid', { path: '/http/plain/open/y' }],
  ['a proof for another API', 'proof_invalid', { path: '/http/erp/invoices/1' }],
  [
    'a credential in a cookie',
    'credential_missing',
    {
      fields: (f) => [
        ...without(without(f, 'authorization'), 'dpop'),
        `Cookie: authorization=DPoP ${attacker.agent.token}`,
      ],
    },
  ],
  ['a page of another site', 'origin_forbidden', { fields: plus('Origin: https://evil.example') }],
])('%s', (_, code, made) => {
  it('reaches no API', async () => {
    const seen = await attack(made)
    expect(seen).toMatchObject({ arrived: 0 })
    expect(seen.status).not.toBeLessThan(seen.status === 0 ? 0 : 400)
    if (code !== undefined) expect(seen.code).toBe(code)
  })
})

it('sends the fields on that the API needs, adds its own, and passes no token (V17)', async () => {
  const fields = plus(
    ...['Cookie: session=1', 'Forwarded: for=1.2.3.4', 'X-Forwarded-For: 1.2.3.4', 'X-Forwarded-Host: evil.example'],
    ...[
      'Via: 1.1 evil',
      'X-Real-IP: 1.2.3.4',
      'Proxy-Authorization: Basic eDp5',
      'Keep-Alive: timeout=5',
      'X-Admin: 1',
    ],
    ...[
      'Accept-Language: de',
      'Accept-Encoding: gzip',
      'Idempotency-Key: k-1',
      'User-Agent: evil',
      'Bailiwick-Call-Id: call-0123456789abcdef',
    ],
  )
  const path = '/http/erp/invoices/4711'
  await expect.poll(() => attack({ target: path, path, fields })).toMatchObject({ status: 200, arrived: 1 })
  const { head, text } = attacker.at.api.arrived.at(-1) ?? { head: '', text: '' }
  const names = head
    .split('\r\n')
    .slice(1)
    .flatMap((line) => (line === '' ? [] : [line.split(':')[0]?.toLowerCase()]))
  expect(names.toSorted()).toEqual(
    [
      'accept',
      'accept-encoding',
      'accept-language',
      'authorization',
      'connection',
      'host',
      'idempotency-key',
    ].toSorted(),
  )
  expect(head).toContain(`authorization: Bearer ${upstreamSecret}\r\n`)
  expect(head).toContain(`host: ${new URL(attacker.at.api.url).host}\r\n`)
  expect(text).not.toContain(attacker.agent.token)
})

it('a second request behind the first is a request of its own, without the credential of the first', async () => {
  const { url } = attacker.at.world
  const before = attacker.at.api.arrived.length
  const host = `Host: ${new URL(url).host}`
  const second = `GET /http/plain/open/second HTTP/1.1\r\n${host}\r\nConnection: close\r\n\r\n`
  const body = '{"amount":1,"currency":"EUR"}'
  const fields = [
    ...[host, 'Content-Type: application/json', `Content-Length: ${body.length}`],
    ...attacker.agent.fields('POST', `${url}/http/erp/invoices`),
  ]
  const line = 'POST /http/erp/invoices HTTP/1.1'
  const { body: rest } = await exchangeRaw(url, { line, fields, body: `${body}${second}`, answers: 2 })
  expect(rest).toMatch(/HTTP\/1\.1 401 /)
  expect(rest).toContain('credential_missing')
  expect(attacker.at.api.arrived.slice(before).map(({ target }) => target)).not.toContain('/plain/open/second')
})

it('a proof serves one call (V10)', async () => {
  const path = '/http/plain/open/once'
  let fields: string[] = []
  await expect
    .poll(() => {
      fields = [`DPoP: ${attacker.agent.proof('GET', `${attacker.at.world.url}${path}`)}`]
      return attack({ target: path, path, fields: (f) => replaced(f, 'dpop', ...fields) })
    })
    .toMatchObject({ status: 200, arrived: 1 })
  expect(await attack({ target: path, path, fields: (f) => replaced(f, 'dpop', ...fields) })).toMatchObject({
    ...{ status: 401, code: 'proof_replayed', arrived: 0 },
  })
})

it('an agent that signs one action and sends another is refused', async () => {
  const { grantId } = await attacker.at.world.granted(attacker.at.authority)
  const before = attacker.at.api.arrived.length
  const response = await attacker.at.world.agent().fetch(
    `${attacker.at.world.url}/http/erp/invoices/4712`,
    { method: 'GET' },
    {
      grant: { grantId },
      patienceMs: 0,
      action: 'tools/call',
      resource: { type: 'tool', id: 'erp/read_invoice' },
      properties: { invoice: '4711' },
    },
  )
  expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([401, 'proof_action_mismatch'])
  expect(attacker.at.api.arrived).toHaveLength(before)
})

it('without a credential the answer says where a client learns who issues one', async () => {
  const { head } = await attack({ fields: (f) => without(without(f, 'authorization'), 'dpop') })
  const [, metadata = ''] = /resource_metadata="([^"]+)"/.exec(head) ?? []
  expect(metadata).toBe(`${attacker.at.world.url}/.well-known/oauth-protected-resource/http/plain`)
  const described = await (await fetch(metadata)).json()
  expect(described).toMatchObject({
    resource: `${attacker.at.world.url}/http/plain`,
    dpop_bound_access_tokens_required: true,
  })
})
