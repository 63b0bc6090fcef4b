import { expect, it } from 'vitest'
import { readMessage } from './message.ts'

it.each([
  ['a request', { jsonrpc: '2.0', id: 1, method: 'ping' }, { kind: 'request', id: 1, method: 'ping', params: {} }],
  [
    'a request with a text as its id',
    { jsonrpc: '2.0', id: 'a', method: 'tools/call', params: { name: 'x' } },
    { kind: 'request', id: 'a' },
  ],
  ['a notification', { jsonrpc: '2.0', method: 'notifications/initialized' }, { kind: 'notification' }],
  ['a response', { jsonrpc: '2.0', id: 1, result: {} }, { kind: 'response', id: 1, said: { result: {} } }],
  [
    'an error without an id',
    { jsonrpc: '2.0', id: null, error: { code: 1, message: '' } },
    { kind: 'response', id: undefined },
  ],
])('reads %s', (_, value, message) => {
  expect(readMessage(value)).toMatchObject(message)
})

it.each([
  ['a list of messages', [{ jsonrpc: '2.0', id: 1, method: 'ping' }]],
  ['an empty list', []],
  ['a text', 'ping'],
  ['nothing', null],
  ['another version', { jsonrpc: '1.0', id: 1, method: 'ping' }],
  ['no version', { id: 1, method: 'ping' }],
  ['a member that the envelope does not have', { jsonrpc: '2.0', id: 1, method: 'ping', Method: 'tools/call' }],
  ['a request that is also a response', { jsonrpc: '2.0', id: 1, method: 'ping', result: {} }],
  ['a response with both', { jsonrpc: '2.0', id: 1, result: {}, error: {} }],
  ['a response with neither', { jsonrpc: '2.0', id: 1 }],
  ['no id in a request', { jsonrpc: '2.0', id: null, method: 'ping' }],
  ['a fraction as an id', { jsonrpc: '2.0', id: 1.5, method: 'ping' }],
  ['an id beyond what a double holds', { jsonrpc: '2.0', id: 2 ** 60, method: 'ping' }],
  ['a truth value as an id', { jsonrpc: '2.0', id: true, method: 'ping' }],
  ['a method that is no text', { jsonrpc: '2.0', id: 1, method: ['tools/call'] }],
  ['a method with a line end', { jsonrpc: '2.0', id: 1, method: 'ping\n' }],
  ['a list of parameters', { jsonrpc: '2.0', id: 1, method: 'tools/call', params: ['read'] }],
  ['a list as _meta', { jsonrpc: '2.0', id: 1, method: 'ping', params: { _meta: [] } }],
])('refuses %s', (_, value) => {
  expect(readMessage(value)).toMatchObject({ refused: 'mcp_message_malformed' })
})
