import { expect, it } from 'vitest'
import { requestToLegacy, requestToModern, responseToLegacy, responseToModern } from './map-messages.ts'

const call = `{ "jsonrpc":"2.0", "id":7,\n "method":"tools\\/call", "params":{"name":"read","arguments":{"z":1.50,"a":"\\u00e9"},"_meta":`
const response = (result: string) => `{"id":7, "result":${result},"jsonrpc":"2.0"}`

it('changes the envelope of a request and no argument', () => {
  const modern = `${call}{"io.modelcontextprotocol/protocolVersion":"2026-07-28","progressToken":1.0,"vendor/x":[]}}}`
  expect(requestToLegacy(modern)).toBe(`${call}{"progressToken":1.0,"vendor/x":[]}}}`)
  const mapped = requestToModern(
    `${call}{"progressToken":1.0, "io.modelcontextprotocol/protocolVersion":"2099-01-01"}}}`,
    {
      name: 'c',
    },
  )
  expect(mapped.startsWith(`${call}{"progressToken":1.0,"io.modelcontextprotocol/protocolVersion":"2026-07-28",`)).toBe(
    true,
  )
  expect(JSON.parse(mapped).params._meta).toEqual({
    progressToken: 1,
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
    'io.modelcontextprotocol/clientInfo': { name: 'c' },
  })
})

it.each([
  '{"jsonrpc":"2.0","id":1,"method":"tools/list"}',
  '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"c"}}',
])('says what the modern era says in each request, also in one without parameters: %s', (text) => {
  const { params } = JSON.parse(requestToModern(text, undefined))
  expect(params._meta).toEqual({
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
  })
  expect(params.cursor).toBe(JSON.parse(text).params?.cursor)
  expect(requestToLegacy(text)).toBe(text)
})

it('says of a response whether it is complete and how long it is kept, or leaves that out', () => {
  const legacy = response('{"tools":[{"x":1.0}],"resultType":"input_required","cacheScope":"public"}')
  const modern = responseToModern(legacy, JSON.parse(legacy), 'tools/list')
  expect(modern).toBe(response('{"tools":[{"x":1.0}],"resultType":"complete","ttlMs":0,"cacheScope":"private"}'))
  expect(responseToLegacy(modern, JSON.parse(modern))).toBe(response('{"tools":[{"x":1.0}]}'))
  const called = response('{"content":[]}')
  expect(responseToModern(called, JSON.parse(called), 'tools/call')).toBe(
    response('{"content":[],"resultType":"complete"}'),
  )
})

it('names what has no counterpart, and the codes of errors in the other era', () => {
  const asks = response('{"resultType":"input_required","inputRequests":{}}')
  expect(() => responseToLegacy(asks, JSON.parse(asks))).toThrow('asks for input')
  const missing = '{"jsonrpc":"2.0","id":7,"error":{"code":-32002,"message":"none"}}'
  expect(responseToModern(missing, JSON.parse(missing), 'resources/read')).toBe(missing.replace('-32002', '-32602'))
  expect(responseToLegacy(missing, JSON.parse(missing))).toBe(missing)
})
