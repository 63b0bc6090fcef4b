import { expect, it } from 'vitest'
import { readHead } from './http2-head.ts'

const pseudo = [':method', 'POST', ':scheme', 'https', ':authority', 'api.test', ':path', '/a?b']

it('becomes a head of HTTP/1.1 with one host', () => {
  expect(readHead([...pseudo, 'accept', 'x/y', 'accept', 'z', 'content-length', '3'])).toEqual({
    ...{ method: 'POST', target: '/a?b', hasLength: true },
    fields: ['host', 'api.test', 'accept', 'x/y', 'accept', 'z', 'content-length', '3'],
  })
})

it.each<[string, string[]]>([
  ['no authority', [':method', 'GET', ':scheme', 'http', ':path', '/', 'host', 'api.test']],
  ['the same twice', [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'api.test', 'host', 'api.test']],
])('takes the host where there is %s', (_, raw) => {
  expect(readHead(raw)).toMatchObject({ fields: ['host', 'api.test'], hasLength: false })
})

it.each<[string, string[]]>([
  ['another host', [...pseudo, 'host', 'evil.test']],
  ['two hosts', [...pseudo, 'host', 'api.test', 'host', 'api.test']],
  ['no host', [':method', 'GET', ':scheme', 'http', ':path', '/']],
  ['no path', [':method', 'GET', ':scheme', 'http', ':authority', 'api.test']],
  ['no method', pseudo.slice(2)],
  ['no scheme', [':method', 'GET', ':path', '/', ':authority', 'api.test']],
  ['a scheme that becomes a target', pseudo.with(3, 'http://evil.test/?')],
  ['two paths', [...pseudo, ':path', '/b']],
  ['a protocol', [...pseudo, ':protocol', 'websocket']],
  ['a status', [...pseudo, ':status', '200']],
  ['two lengths', [...pseudo, 'content-length', '1', 'content-length', '1']],
  ['a length as a list', [...pseudo, 'content-length', '1, 1']],
  ['a length with a sign', [...pseudo, 'content-length', '+1']],
  ['a line break in a value', [...pseudo, 'x-a', 'b\r\nx-c: d']],
  ['a line break in a name', [...pseudo, 'x-a: b\r\nx-c', 'd']],
  ['a line break in the path', pseudo.with(7, '/ HTTP/1.1\r\nx-c: d')],
  ['a capital', [...pseudo, 'Transfer-Encoding', 'chunked']],
  ...['connection', 'http2-settings', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'].map(
    (name): [string, string[]] => [name, [...pseudo, name, 'x']],
  ),
])('refuses %s', (_, raw) => {
  expect(readHead(raw)).toMatchObject({ refused: 'request_malformed' })
})
