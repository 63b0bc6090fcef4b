import { errorKinds } from '@bailiwick/errors'
import { readJsonView } from '@bailiwick/kit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { httpArguments } from '../http/http-action.ts'
import { checkHead } from './gate.ts'
import { checkHeaders } from './headers.ts'
import { readQuery } from './query.ts'
import { checkPath } from './target.ts'

const baseUrl = 'https://api.example'
const head = (target: string, rawHeaders: string[] = [], method = 'POST') => ({ method, target, rawHeaders })
const codeOf = (result: object | undefined) => (result && 'refused' in result ? result.refused : undefined)

describe('a path', () => {
  it.each([
    '/',
    '/a',
    '/a/',
    '/a/b-c_d.e~f',
    "/a!$&'()*,=:@",
    '/%C3%A9',
    '/a%20b',
    '/...',
    '/a..b',
    '/.well-known/x',
    '/100%25',
  ])('that has one reading goes through: %s', (path) => expect(checkPath(path)).toBeUndefined())

  it.each<[string, string]>([
    ['', 'target_form_forbidden'],
    ['*', 'target_form_forbidden'],
    ['a/b', 'target_form_forbidden'],
    ['http://evil.example/a', 'target_form_forbidden'],
    ['HTTP://evil.example/a', 'target_form_forbidden'],
    ['evil.example:443', 'target_form_forbidden'],
    ['/a#b', 'target_form_forbidden'], // Envoy 2021-32779
    ['/a?b#c', 'target_form_forbidden'],
    [`/${'a'.repeat(8192)}`, 'target_too_long'],
    ['//evil.example/a', 'path_segment_empty'], // CVE-2026-26205: read as an authority
    ['/a//b', 'path_segment_empty'],
    ['/a//', 'path_segment_empty'],
    ['/./a', 'path_segment_dots'], // CVE-2026-63177
    ['/a/.', 'path_segment_dots'],
    ['/a/../b', 'path_segment_dots'],
    ['/a/..', 'path_segment_dots'],
    ['/a;v=1/b', 'path_character_forbidden'],
    ['/a;/../b', 'path_character_forbidden'],
    ['/..;/a', 'path_character_forbidden'],
    ['/a\\b', 'path_character_forbidden'],
    ['/a\\..\\b', 'path_character_forbidden'],
    ['/a b', 'path_character_forbidden'],
    ['/a\tb', 'path_character_forbidden'],
    ['/a\u0000', 'path_character_forbidden'],
    ['/é', 'path_character_forbidden'],
    ['/a"b', 'path_character_forbidden'],
    ['/a<b>', 'path_character_forbidden'],
    ['/a^b', 'path_character_forbidden'],
    ['/a|b', 'path_character_forbidden'],
    ['/a`b', 'path_character_forbidden'],
    ['/a{b}', 'path_character_forbidden'],
    ['/a[b]', 'path_character_forbidden'],
    ['/a%2fb', 'path_escape_forbidden'], // CVE-2026-2880, -14198, -6414
    ['/a%2Fb', 'path_escape_forbidden'],
    ['/a%5cb', 'path_escape_forbidden'],
    ['/a%5Cb', 'path_escape_forbidden'],
    ['/%2e%2e/a', 'path_escape_forbidden'],
    ['/.%2e/a', 'path_escape_forbidden'],
    ['/a%2Eb', 'path_escape_forbidden'],
    ['/a%00', 'path_escape_forbidden'],
    ['/a%0d%0aX:1', 'path_escape_forbidden'],
    ['/a%1F', 'path_escape_forbidden'],
    ['/a%7F', 'path_escape_forbidden'],
    ['/a%3Bb', 'path_escape_forbidden'],
    ['/a%3Fadmin', 'path_escape_forbidden'], // CVE-2026-32811
    ['/a%23b', 'path_escape_forbidden'],
    ['/a%252fb', 'path_escape_forbidden'], // decoded twice
    ['/a%252F', 'path_escape_forbidden'],
    ['/a%25%32%66', 'path_escape_needless'],
    ['/a%', 'path_escape_forbidden'],
    ['/a%2', 'path_escape_forbidden'],
    ['/a%zz', 'path_escape_forbidden'],
    ['/a%u002f', 'path_escape_forbidden'],
    ['/%c3%a9', 'path_escape_case'], // CVE-2026-27587, -27588
    ['/%C3%a9', 'path_escape_case'],
    ['/%41dmin', 'path_escape_needless'],
    ['/%61', 'path_escape_needless'],
    ['/%7Ea', 'path_escape_needless'],
    ['/%30', 'path_escape_needless'],
    ['/a%2D', 'path_escape_needless'],
    ['/%C0%AF', 'path_encoding_unknown'], // an overlong `/`
    ['/%E0%80%AF', 'path_encoding_unknown'],
    ['/%ED%A0%80', 'path_encoding_unknown'], // a surrogate
    ['/%FF', 'path_encoding_unknown'],
    ['/%C3', 'path_encoding_unknown'],
  ])('that servers read differently is refused: %j, %s', (path, code) => {
    expect(checkPath(path)?.refused).toBe(code)
    expect(errorKinds).toHaveProperty(code)
  })

  it('that goes through is its own only spelling: no URL parser changes it', () => {
    const part = fc.constantFrom(
      '/',
      'a',
      'A',
      '.',
      '%2F',
      '%2e',
      '%41',
      '%C3%A9',
      '%',
      ';',
      '\\',
      '+',
      '~',
      '?',
      '#',
      '%25',
      '%20',
    )
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
        const target = `/${parts.join('')}`
        if (checkPath(target) || codeOf(readQuery(target))) return
        const url = new URL(target, 'http://a.example')
        expect(url.host).toBe('a.example')
        expect(`${url.pathname}${url.search || (target.endsWith('?') ? '?' : '')}`).toBe(target)
        // Decoding once more changes no structure.
        const { pathname } = url
        expect(decodeURIComponent(pathname).split('/')).toHaveLength(pathname.split('/').length)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('a query', () => {
  it.each<[string, object]>([
    ['/a', {}],
    ['/a?', {}],
    ['/a?b', { b: '' }],
    ['/a?b=1&c=%20%2B', { b: '1', c: ' +' }],
    ['/a?b=c=d', { b: 'c=d' }],
    ['/a?b=%3B%26%23', { b: ';&#' }],
    ['/a?b=/x?y', { b: '/x?y' }],
    ['/a?$filter=b&c.d=e&f_g=h', { $filter: 'b', 'c.d': 'e', f_g: 'h' }],
  ])('is read in one way: %s', (target, parameters) => expect(readQuery(target)).toEqual({ parameters }))

  it.each<[string, string]>([
    ['/a?b=1&b=2', 'query_name_repeated'],
    ['/a?b=1&B=2', 'query_name_repeated'],
    ['/a?b=1&%62=2', 'query_not_canonical'],
    ['/a?k=1&%E2%84%AA=2', 'query_not_canonical'], // the Kelvin sign
    ['/a?b.c=1&b_c=2', 'query_name_repeated'], // PHP
    ['/a?b=1&%20b=2', 'query_not_canonical'], // PHP strips the space
    ['/a?b=1&b%5B%5D=2', 'query_not_canonical'],
    ['/a?b%5Bc%5D=2', 'query_not_canonical'],
    ['/a?b%20c=2', 'query_not_canonical'],
    ['/a?_method=DELETE', 'query_not_canonical'],
    ['/a?_METHOD=DELETE', 'query_not_canonical'],
    ['/a?b=1;c=2', 'query_not_canonical'],
    ['/a?b=1+2', 'query_not_canonical'],
    ['/a?b=%41', 'query_not_canonical'],
    ['/a?b=%c3%a9', 'query_not_canonical'],
    ['/a?b=%00', 'query_not_canonical'],
    ['/a?b=%', 'query_not_canonical'],
    ['/a?b=%FF', 'query_not_canonical'],
    ['/a?b=[1]', 'query_not_canonical'],
    ['/a?b="1"', 'query_not_canonical'],
    ['/a?=1', 'query_not_canonical'],
    ['/a?&', 'query_not_canonical'],
    ['/a?b=1&', 'query_not_canonical'],
    ['/a?__proto__=1', 'query_not_canonical'],
  ])('that servers read differently is refused: %s', (target, code) => expect(codeOf(readQuery(target))).toBe(code))
})

describe('a request that names another method than it has', () => {
  const asked = (type: string, text: string) =>
    codeOf(
      httpArguments(
        { method: 'POST', target: '/a', headers: ['content-type', type], body: Buffer.from(text) },
        new Set<string>(),
      ),
    )
  const part = (name: string) => `--x\r\nContent-Disposition: form-data; name=${name}\r\n\r\nDELETE\r\n--x--\r\n`
  it.each<[string, string, string]>([
    ['application/x-www-form-urlencoded', 'a=1&_method=DELETE', 'form_malformed'],
    ['application/x-www-form-urlencoded', '_METHOD=DELETE', 'form_malformed'],
    ['application/json', '{"_method":"DELETE"}', 'request_malformed'],
    ['application/json', '{"_Method":"DELETE"}', 'request_malformed'],
    ['multipart/form-data; boundary=x', part('"_method"'), 'request_malformed'],
    ['multipart/form-data; boundary=x', part('_METHOD'), 'request_malformed'],
    ['multipart/form-data; boundary=x', part('" _method"'), 'request_malformed'],
  ])('%s: %j', (type, text, code) => expect(asked(type, text)).toBe(code))

  it('has no fault if the name is only a word, or a value', () => {
    expect(asked('application/json', '{"a":{"_method":"DELETE"},"b":"_method"}')).toBeUndefined()
    expect(asked('application/x-www-form-urlencoded', 'a=_method&method=x')).toBeUndefined()
    expect(asked('multipart/form-data; boundary=x', part('"method"'))).toBeUndefined()
  })
})

describe('header fields', () => {
  it.each<[string, string[], string]>([
    ['both lengths', ['Content-Length', '3', 'Transfer-Encoding', 'chunked'], 'header_framing_ambiguous'],
    ['two lengths', ['Content-Length', '3', 'content-length', '3'], 'header_framing_ambiguous'],
    ['a list of lengths', ['Content-Length', '3, 3'], 'header_framing_ambiguous'],
    ['a length with a sign', ['Content-Length', '+3'], 'header_framing_ambiguous'],
    ['a length in hex', ['Content-Length', '0x3'], 'header_framing_ambiguous'],
    ['an empty length', ['Content-Length', ''], 'header_framing_ambiguous'],
    ['another coding', ['Transfer-Encoding', 'gzip, chunked'], 'header_framing_ambiguous'],
    ['a coding twice', ['Transfer-Encoding', 'chunked, chunked'], 'header_framing_ambiguous'],
    [
      'a coding in two fields',
      ['Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'identity'],
      'header_framing_ambiguous',
    ],
    ['a hidden coding', ['Transfer-Encoding', 'xchunked'], 'header_framing_ambiguous'],
    ['a coding with a tab', ['Transfer-Encoding', '\tchunked'], 'header_value_forbidden'],
    ['a field in Connection', ['Connection', 'close, X-Permit', 'X-Permit', '1'], 'header_connection_forbidden'], // CVE-2026-33805
    ['an upgrade', ['Connection', 'Upgrade'], 'header_connection_forbidden'],
    ['authorization in Connection', ['Connection', 'authorization'], 'header_connection_forbidden'],
    ['two hosts', ['Host', 'a', 'Host', 'b'], 'header_repeated'],
    ['two credentials', ['Authorization', 'DPoP a', 'authorization', 'DPoP b'], 'header_repeated'],
    ['two media types', ['Content-Type', 'application/json', 'Content-Type', 'text/plain'], 'header_repeated'],
    ['a value twice', ['X-Role', 'user', 'x-role', 'admin'], 'header_repeated'], // CVE-2026-26308
    ['TE', ['TE', 'gzip'], 'header_te_forbidden'],
    ['TE with more', ['TE', 'trailers, deflate'], 'header_te_forbidden'],
    ['an underscore', ['X_Role', 'admin'], 'header_name_forbidden'],
    ['a space in a name', ['X-Role ', 'admin'], 'header_name_forbidden'],
    ['no name', ['', 'x'], 'header_name_forbidden'],
    ['a tab', ['Content-Type', 'application/json\t;a=b'], 'header_value_forbidden'], // CVE-2026-25223, -33806
    ['a line end', ['X-A', 'a\r\nX-B: b'], 'header_value_forbidden'],
    ['a NUL', ['X-A', 'a\0b'], 'header_value_forbidden'],
    ['a byte above ASCII', ['X-A', 'é'], 'header_value_forbidden'],
    ['a list of media types', ['Content-Type', 'application/json, text/plain'], 'header_value_forbidden'],
    ['no media type', ['Content-Type', 'json'], 'header_value_forbidden'],
    ['Expect', ['Expect', '100-continue'], 'header_forbidden'],
    ['Upgrade', ['Upgrade', 'websocket'], 'header_forbidden'],
    ['Trailer', ['Trailer', 'X-A'], 'header_forbidden'],
    ['Range', ['Range', 'bytes=0-0,0-0'], 'header_forbidden'],
    ['another method', ['X-HTTP-Method-Override', 'DELETE'], 'header_forbidden'],
    ['another method, spelled otherwise', ['X-Method-Override', 'DELETE'], 'header_forbidden'],
    ['the id of a decision', ['Bailiwick-Decision-Id', 'dec_1'], 'header_forbidden'],
    ['another target', ['X-Original-URL', '/admin'], 'header_forbidden'],
    ['another target, spelled otherwise', ['X-Rewrite-Url', '/admin'], 'header_forbidden'],
    ['a coding of the body', ['Content-Encoding', 'gzip'], 'content_encoding_forbidden'],
    ['two codings of the body', ['Content-Encoding', 'identity, gzip'], 'content_encoding_forbidden'],
  ])('with %s are refused', (_, rawHeaders, code) => {
    expect(codeOf(checkHeaders(rawHeaders))).toBe(code)
    expect(errorKinds).toHaveProperty(code)
  })

  it('go on in their own spelling and order, without what ends here', () => {
    const rawHeaders = [
      ...[
        'Host',
        'api.example',
        'X-B',
        '2',
        'Content-Type',
        'application/json; charset=utf-8',
        'Authorization',
        'DPoP a.b.c',
      ],
      ...[
        'DPoP',
        'd.e.f',
        'Bailiwick-Call-Id',
        'c',
        'Connection',
        'keep-alive, TE',
        'TE',
        'trailers',
        'Content-Length',
        '2',
      ],
      ...[
        'x-a',
        '1',
        'Cookie',
        'a=b',
        'Via',
        '1.1 a',
        'via',
        '1.1 b',
        'X-Forwarded-For',
        '1',
        'X-Forwarded-For',
        '2',
        'Forwarded',
        'for=1',
      ],
      ...['Proxy-Authorization', 'Basic a', 'Keep-Alive', 'timeout=5'],
    ]
    expect(checkHeaders(rawHeaders)).toEqual({
      headers: ['X-B', '2', 'Content-Type', 'application/json; charset=utf-8', 'x-a', '1'],
    })
  })
})

describe('a head', () => {
  it.each(['CONNECT', 'TRACE', 'post', 'GET ', 'PROPFIND', ''])('with the method %j is refused', (method) =>
    expect(codeOf(checkHead(head('/a', [], method), baseUrl))).toBe('method_not_allowed'),
  )

  it('names the caller by the configured address and the path as received', () => {
    const rawHeaders = ['Host', 'evil.example', 'Authorization', 'DPoP a.b.c', 'DPoP', 'd.e.f']
    expect(checkHead(head('/a%20b?c=d', rawHeaders), `${baseUrl}/ignored`)).toEqual({
      ...{ method: 'POST', target: '/a%20b?c=d', headers: [] },
      caller: { credential: 'a.b.c', proof: 'd.e.f', callId: undefined, htu: `${baseUrl}/a%20b` },
    })
  })

  it.each(['call 0123456789abcdef', 'c', ''])(
    'with a call id %j, which is none, is refused: another would be decided as another call (V10)',
    (id) =>
      expect(checkHead(head('/a', ['Bailiwick-Call-Id', id]), baseUrl)).toEqual({
        refused: 'request_malformed',
        detail: 'Bailiwick-Call-Id',
      }),
  )

  it('with a credential under another scheme is refused, and names no caller (V11)', () => {
    expect(checkHead(head('/a', ['Authorization', 'Bearer a.b.c']), baseUrl)).toEqual({
      ok: false,
      reason: 'proof_missing',
    })
  })
})

describe('JSON', () => {
  it.each<[string, string]>([
    ['{"a":1,"a":2}', 'json_malformed'],
    ['{"a":1,"\\u0061":2}', 'json_malformed'],
    ['{"a":"\\ud800"}', 'json_malformed'],
    ['{"a":9007199254740993}', 'json_malformed'],
    ['{"a":1e400}', 'json_malformed'],
    ['{"a":0.1000000000000000055}', 'json_malformed'],
    ['{"a":-0}', 'json_malformed'],
    ['{"a":[-0.0]}', 'json_malformed'],
    ['{"__proto__":{}}', 'json_malformed'],
    ['\ufeff{}', 'json_malformed'],
    ['{"a":1}{"a":2}', 'json_malformed'],
    ['{"a":1,}', 'json_malformed'],
    ["{'a':1}", 'json_malformed'],
    ['{"a":01}', 'json_malformed'],
    ['{"a":NaN}', 'json_malformed'],
    ['{"a":1//\n}', 'json_malformed'],
    ['', 'json_malformed'],
    [`${'['.repeat(40)}${']'.repeat(40)}`, 'json_malformed'],
    ['{"amount":1,"Amount":2}', 'json_keys_alike'],
    ['{"user":1,"u\u017fer":2}', 'json_keys_alike'], // Go folds the long s
    ['{"key":1,"\u212aey":2}', 'json_keys_alike'], // and the Kelvin sign
    ['{"\u00e9":1,"e\u0301":2}', 'json_keys_alike'],
    ['[{"x":{"ID":1,"id":2}}]', 'json_keys_alike'],
  ])('with more than one reading is refused: %s', (text, code) =>
    expect(codeOf(readJsonView(Buffer.from(text)))).toBe(code),
  )

  it.each([[[0xff]], [[0xc0, 0xaf]], [[0xed, 0xa0, 0x80]], [[0x22, 0xc3, 0x22]]])(
    'that is not UTF-8 is refused',
    (bytes) => expect(codeOf(readJsonView(Uint8Array.from(bytes)))).toBe('json_malformed'),
  )

  it.each<[string, unknown]>([
    ['{"a":[1,2.50,"x"],"b":{"a":null}}', { a: [1, 2.5, 'x'], b: { a: null } }],
    ['null', null],
    ['{"a":1,"b":{"A":1}}', { a: 1, b: { A: 1 } }],
  ])('with one reading is read: %s', (text, value) => expect(readJsonView(Buffer.from(text))).toEqual({ value }))
})
