import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ownHost } from '../e2e/api-world.ts'
import { ApiAttacker, type Attack, chunked, create, open, replaced, without } from './api-attacks.ts'

/*
 * One request to an HTTP API, two readings: what is decided must be what is sent. Each attack asks for something that the grant allows in one
 * reading, and for something that it does not allow in another. Nothing of it may reach the API. The numbers are those of CVEs in other proxies.
 */

let attacker: ApiAttacker
beforeAll(async () => {
  attacker = await ApiAttacker.open()
})
afterAll(() => attacker?.[Symbol.asyncDispose]())
const attack = (made: Attack) => attacker.attack(made)

const at2 = (path: string): Attack => ({ target: path })

describe('the control: without an attack the same request reaches the API once, byte for byte', () => {
  it.each<[string, Attack, string]>([
    ['by URL', {}, 'GET /plain/open/x HTTP/1.1\r\n'],
    ['with a query', at2(`${open}?a=1&b=%26`), 'GET /plain/open/x?a=1&b=%26 HTTP/1.1\r\n'],
    ['by operation', create('{ "currency":"EUR", "amount":\t500 }'), '\r\n\r\n{ "currency":"EUR", "amount":\t500 }'],
    [
      'in chunks',
      create(
        'f\r\n{"amount":1,"cu\r\n10\r\nrrency":"EUR"}  \r\n0\r\n\r\n',
        chunked('f\r\n{"amount":1,"cu\r\n10\r\nrrency":"EUR"}  \r\n0\r\n\r\n'),
      ),
      '\r\n\r\n{"amount":1,"currency":"EUR"}  ',
    ],
  ])('%s', async (_, made, arrived) => {
    await expect.poll(() => attack(made)).toMatchObject({ status: 200, arrived: 1 })
    expect(attacker.at.api.arrived.at(-1)?.text).toContain(arrived)
  })
})

describe.each<[string, string | undefined, Attack]>([
  // The path
  ['two slashes (2026-26205)', 'path_segment_empty', at2('/http/plain//open/x')],
  ['two slashes at the beginning', undefined, at2('//http/plain/open/x')],
  ['a segment of one dot (2026-63177)', 'path_segment_dots', at2('/http/plain/./open/x')],
  ['a segment of two dots', 'path_segment_dots', at2('/http/plain/open/../secret')],
  ['two dots out of the API', 'path_segment_dots', at2('/http/erp/../plain/open/x')],
  ['escaped dots', 'path_escape_forbidden', at2('/http/plain/open/%2e%2e/secret')],
  ['escaped dots in capitals', 'path_escape_forbidden', at2('/http/plain/open/%2E%2E/secret')],
  ['an escaped slash (2026-2880)', 'path_escape_forbidden', at2('/http/plain/open/..%2Fsecret')],
  ['a slash that is escaped twice (2026-6414)', 'path_escape_forbidden', at2('/http/plain/open/..%252Fsecret')],
  ['an escaped backslash', 'path_escape_forbidden', at2('/http/plain/open/..%5Csecret')],
  ['a backslash', 'path_character_forbidden', at2('/http/plain/open/..\\secret')],
  ['a parameter of the path', 'path_character_forbidden', at2('/http/plain/open;/x')],
  ['dots with a parameter', 'path_character_forbidden', at2('/http/plain/open/..;/secret')],
  ['an overlong slash', undefined, at2('/http/plain/open/..%C0%AFsecret')],
  ['an escape of a letter', 'path_escape_needless', at2('/http/plain/%6Fpen/x')],
  ['an escape in small letters (2026-27587)', 'path_escape_case', at2('/http/plain/open/%c3%a9')],
  ['an escaped end of text', 'path_escape_forbidden', at2('/http/plain/open/x%00.json')],
  ['an escaped question mark (2026-32811)', 'path_escape_forbidden', at2('/http/plain/open/x%3Fadmin=1')],
  ['an escaped line end', 'path_escape_forbidden', at2('/http/plain/open/x%0D%0Ax:%20y')],
  ['a fragment (Envoy 2021-32779)', 'target_form_forbidden', at2('/http/plain/open/x#/../../secret')],
  ['bytes beyond ASCII', undefined, at2('/http/plain/open/\xe9')],
  ['a tab in the path', undefined, at2('/http/plain/open/\tx')],
  ['the API in capitals', 'route_unknown', at2('/http/PLAIN/open/x')],
  ['the place in capitals', 'route_unknown', at2('/HTTP/plain/open/x')],
  ['the place escaped', 'path_escape_needless', at2('/%68ttp/plain/open/x')],
  ['the API escaped', 'path_escape_needless', at2('/http/pl%61in/open/x')],
  ['an API that is not there', 'route_unknown', at2('/http/other/open/x')],
  ['the API without a path', 'route_unknown', at2('/http/plain')],
  ['a path of 9,000 characters', undefined, at2(`/http/plain/open/${'a'.repeat(9000)}`)],
  // The target
  ['an absolute target', 'target_form_forbidden', { line: 'GET http://localhost/http/plain/open/x HTTP/1.1' }],
  [
    'an absolute target of another host',
    'target_form_forbidden',
    { line: 'GET http://evil.example/http/plain/open/x HTTP/1.1' },
  ],
  ['a target that is a host', undefined, { line: 'CONNECT erp.internal:443 HTTP/1.1' }],
  ['a target that is an asterisk', undefined, { line: 'OPTIONS * HTTP/1.1' }],
  ['a request line without a version', undefined, { line: `GET ${open}` }],
  ['HTTP/1.0', 'http_version_forbidden', { version: 'HTTP/1.0' }],
  // The query
  ['a parameter twice', 'query_name_repeated', at2(`${open}?user=me&user=you`)],
  ['a parameter twice, in another case', 'query_name_repeated', at2(`${open}?user=me&User=you`)],
  ['parameters separated by ;', 'query_not_canonical', at2(`${open}?a=1;admin=1`)],
  ['a plus', 'query_not_canonical', at2(`${open}?a=x+y`)],
  ['__proto__', 'query_not_canonical', at2(`${open}?__proto__=1`)],
  ['a name with a space, which PHP strips', 'query_not_canonical', at2(`${open}?year=2025&%20year=1999`)],
  ['a name that is a list for PHP', 'query_not_canonical', at2(`${open}?year=2025&year%5B%5D=1999`)],
  ['a name with a dot, which PHP takes for _', 'query_name_repeated', at2(`${open}?a_b=1&a.b=2`)],
  ['a parameter that names another method', 'query_not_canonical', at2(`${open}?_method=DELETE`)],
  // The method
  ['TRACE', undefined, { method: 'TRACE' }],
  ['TRACE to the API itself', undefined, { line: 'TRACE /http/plain/open/x HTTP/1.1' }],
  ['CONNECT', undefined, { method: 'CONNECT' }],
  ['a method in small letters', undefined, { line: `get ${open} HTTP/1.1` }],
  ['a method that is not there', undefined, { line: `GETX ${open} HTTP/1.1` }],
  ['another method than was granted', 'action_not_granted', { method: 'DELETE' }],
  ['HEAD, which was not granted', undefined, { method: 'HEAD' }],
  // The body
  ['two equal keys', 'json_malformed', create('{"amount":1,"amount":900,"currency":"EUR"}')],
  ['keys that differ in case', 'json_keys_alike', create('{"amount":1,"Amount":900,"currency":"EUR"}')],
  ['a number that is rounded', 'json_malformed', create('{"amount":500.00000000000000001,"currency":"EUR"}')],
  ['a second document', 'json_malformed', create('{"amount":1,"currency":"EUR"}{"amount":900}')],
  ['a byte order mark', 'json_malformed', create('\ufeff{"amount":1,"currency":"EUR"}')],
  ['UTF-16', undefined, create(Buffer.from('{"amount":1,"currency":"EUR"}', 'utf16le'))],
  ['a list', 'operation_member_unmapped', create('[{"amount":1,"currency":"EUR"}]')],
  [
    'a member that the operation does not have',
    'operation_member_unmapped',
    create('{"amount":1,"currency":"EUR","approved":true}'),
  ],
  [
    'a form in place of JSON',
    'content_type_unsupported',
    create('amount=1&currency=EUR', {
      fields: (f) => replaced(f, 'content-type', 'Content-Type: application/x-www-form-urlencoded'),
    }),
  ],
  [
    'JSON under another name',
    'content_type_unsupported',
    create('{"amount":1,"currency":"EUR"}', { fields: (f) => replaced(f, 'content-type', 'Content-Type: text/plain') }),
  ],
  [
    'JSON without a name',
    undefined,
    create('{"amount":1,"currency":"EUR"}', { fields: (f) => without(f, 'content-type') }),
  ],
  ['an amount beyond its bound', 'argument_out_of_bounds', create('{"amount":500.01,"currency":"EUR"}')],
  [
    'an amount beyond its bound, as a power of ten',
    'argument_out_of_bounds',
    create('{"amount":5e3,"currency":"EUR"}'),
  ],
  ['arguments that no decision point reads', 'body_too_large', create(`{"note":"${'a'.repeat(70_000)}"}`)],
  ['a body of 2 MiB', 'body_too_large', create(`{"note":"${'a'.repeat(2 * 1024 * 1024)}"}`)],
  // The operation and the URL
  [
    'another operation, in capitals',
    'operation_ambiguous',
    { target: '/http/erp/invoices/EXPORT', path: '/http/erp/invoices/EXPORT' },
  ],
  [
    'another operation, which was not granted',
    'action_not_granted',
    { target: '/http/erp/invoices/export', path: '/http/erp/invoices/export' },
  ],
  [
    'a method of its own at the end of an argument',
    'operation_argument_spelling',
    { target: '/http/erp/invoices/1:cancel', path: '/http/erp/invoices/1:cancel' },
  ],
  ['a path that is no operation', 'operation_unmapped', { target: '/http/erp/users', path: '/http/erp/users' }],
  [
    'an operation with a slash at its end',
    'operation_unmapped',
    { target: '/http/erp/invoices/1/', path: '/http/erp/invoices/1/' },
  ],
  [
    'a parameter that the operation does not have',
    'operation_member_unmapped',
    { target: '/http/erp/invoices/1?expand=users', path: '/http/erp/invoices/1' },
  ],
  [
    'a path beside what was granted',
    'action_not_granted',
    { target: '/http/plain/secret', path: '/http/plain/secret' },
  ],
  [
    'a path that begins like what was granted',
    'action_not_granted',
    { target: '/http/plain/open-too', path: '/http/plain/open-too' },
  ],
  [
    'an escape below what was granted',
    'action_not_granted',
    { target: '/http/plain/open/a%20b', path: '/http/plain/open/a%20b' },
  ],
])('%s', (_, code, made) => {
  it('reaches no API', async () => {
    const seen = await attack(made)
    expect(seen).toMatchObject({ arrived: 0 })
    expect(seen.status).not.toBeLessThan(seen.status === 0 ? 0 : 400)
    if (code !== undefined) expect(seen.code).toBe(code)
  })
})

describe('at a host of its own', () => {
  const port = () => new URL(attacker.at.world.url).port
  const ask = (
    target: string,
    host = `${ownHost}:${port()}`,
    proofFor = `http://${ownHost}:${port()}${target.split('?')[0]}`,
  ) =>
    attack({
      target,
      fields: (f) => [
        ...replaced(without(without(f, 'authorization'), 'dpop'), 'host', `Host: ${host}`),
        ...attacker.agent.fields('GET', proofFor),
      ],
    })

  it('an API has every path', async () => {
    await expect.poll(() => ask('/open/x?a=1')).toMatchObject({ status: 200, arrived: 1 })
    expect(attacker.at.api.arrived.at(-1)?.text).toContain('GET /own/open/x?a=1 HTTP/1.1\r\n')
  })

  it.each(['/http/erp/invoices/1', '/http/plain/open/x', '/mcp/billing', '/metrics', '/readyz', '/http/@host/open/x'])(
    '%s is a path of the API, which was not granted',
    async (target) => {
      expect(await ask(target)).toMatchObject({ status: 403, code: 'action_not_granted', arrived: 0 })
    },
  )

  it.each([
    ['//open/x', 'path_segment_empty'],
    ['/open/../secret', 'path_segment_dots'],
    ['/../own/secret', 'path_segment_dots'],
  ])('%s is refused', async (target, code) => {
    expect(await ask(target)).toMatchObject({ code, arrived: 0 })
  })

  it('another spelling of the host is another host, and the proof is for this one', async () => {
    for (const host of ['own.test.evil.example', `own.test@evil.example`, 'x.own.test'])
      expect(await ask('/open/x', host)).toMatchObject({ code: 'host_unknown', arrived: 0 })
    const elsewhere = `${attacker.at.world.url}/http/plain/open/x`
    expect(await ask('/open/x', undefined, elsewhere)).toMatchObject({ status: 401, code: 'proof_invalid', arrived: 0 })
    for (const target of ['/http/own/open/x', '/http/@host/open/x'])
      expect(await attack({ target, path: target })).toMatchObject({ code: 'route_unknown', arrived: 0 })
    const absolute = { line: `GET http://${ownHost}/open/x HTTP/1.1` }
    const fields = (f: string[]) => replaced(f, 'host', `Host: ${ownHost}`)
    expect(await attack({ ...absolute, fields })).toMatchObject({ arrived: 0, code: 'target_form_forbidden' })
  })

  it('it describes itself', async () => {
    const { head, body } = await ask('/.well-known/oauth-protected-resource')
    expect(head).toContain('200 OK')
    expect(JSON.parse(body)).toMatchObject({ resource: `http://${ownHost}:${port()}` })
  })
})
