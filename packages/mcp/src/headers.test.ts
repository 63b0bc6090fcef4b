import { describe, expect, it } from 'vitest'
import {
  checkMirrors,
  checkParameters,
  decodeFieldValue,
  encodeFieldValue,
  fieldsOfRequest,
  readEra,
} from './headers.ts'
import { type Message, readMessage } from './message.ts'

const modern = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' }
const message = (method: string, params: object = {}) =>
  readMessage({ jsonrpc: '2.0', id: 1, method, params }) as Message
const mismatch = { refused: 'mcp_header_mismatch' }

describe('the era of a message', () => {
  it.each([
    ['no field', [], {}, 'legacy'],
    ['an older revision', ['MCP-Protocol-Version', '2025-11-25'], {}, 'legacy'],
    ['the newest', ['mcp-protocol-version', '2026-07-28'], { _meta: modern }, 'modern'],
  ])('%s', (_, headers, params, era) => {
    expect(readEra(headers, message('ping', params))).toBe(era)
  })

  it.each([
    ['the field alone', ['mcp-protocol-version', '2026-07-28'], {}, { refused: 'mcp_version_missing' }],
    ['the body alone', [], { _meta: modern }, mismatch],
    ['two versions', ['mcp-protocol-version', '2025-11-25'], { _meta: modern }, mismatch],
    [
      'two fields',
      ['mcp-protocol-version', '2026-07-28', 'Mcp-Protocol-Version', '2025-11-25'],
      { _meta: modern },
      mismatch,
    ],
    ['an unknown version', ['mcp-protocol-version', '2027-01-01'], {}, { refused: 'mcp_version_unsupported' }],
    [
      'a version that is no text',
      ['mcp-protocol-version', '2026-07-28'],
      { _meta: { [Object.keys(modern)[0] ?? '']: 1 } },
      mismatch,
    ],
  ])('is refused for %s', (_, headers, params, refused) => {
    expect(readEra(headers, message('ping', params))).toMatchObject(refused)
  })
})

describe('fields that repeat the body', () => {
  const call = message('tools/call', { name: 'read' })

  it('pass when they say the same, encoded or not', () => {
    expect(checkMirrors(['mcp-method', 'tools/call', 'Mcp-Name', 'read'], call, 'modern')).toBeUndefined()
    expect(
      checkMirrors(['mcp-method', 'tools/call', 'mcp-name', '=?base64?cmVhZA==?='], call, 'modern'),
    ).toBeUndefined()
    expect(checkMirrors([], call, 'legacy')).toBeUndefined()
  })

  it.each([
    ['another method', ['mcp-method', 'tools/list', 'mcp-name', 'read']],
    ['another tool', ['mcp-method', 'tools/call', 'mcp-name', 'delete']],
    ['another tool, encoded', ['mcp-method', 'tools/call', 'mcp-name', '=?base64?ZGVsZXRl?=']],
    ['another case', ['mcp-method', 'Tools/Call', 'mcp-name', 'read']],
    ['a second spelling of the same bytes', ['mcp-method', 'tools/call', 'mcp-name', '=?base64?cmVhZA?=']],
    ['two methods', ['mcp-method', 'tools/call', 'MCP-METHOD', 'tools/list', 'mcp-name', 'read']],
    ['two names', ['mcp-method', 'tools/call', 'mcp-name', 'read', 'mcp-name', 'read']],
  ])('are refused for %s, in both eras', (_, headers) => {
    for (const era of ['legacy', 'modern'] as const) expect(checkMirrors(headers, call, era)).toMatchObject(mismatch)
  })

  it('are refused where the body names nothing', () => {
    expect(
      checkMirrors(['mcp-method', 'tools/list', 'mcp-name', 'read'], message('tools/list'), 'modern'),
    ).toMatchObject(mismatch)
  })

  it('are required in the modern era', () => {
    expect(checkMirrors(['mcp-name', 'read'], call, 'modern')).toMatchObject(mismatch)
    expect(checkMirrors(['mcp-method', 'tools/call'], call, 'modern')).toMatchObject(mismatch)
    expect(
      checkMirrors(['mcp-method', 'resources/read'], message('resources/read', { uri: 'file:///a' }), 'modern'),
    ).toMatchObject(mismatch)
  })
})

describe('fields that repeat arguments', () => {
  const tool = {
    name: 'adjust',
    inputSchema: {
      properties: {
        region: { type: 'string', 'x-mcp-header': 'Region' },
        amount: { type: 'integer', 'x-mcp-header': 'Amount' },
        deep: { properties: { flag: { type: 'boolean', 'x-mcp-header': 'Flag' } } },
      },
    },
  }
  const check = (headers: string[], args: object, era: 'legacy' | 'modern' = 'modern') =>
    checkParameters(headers, tool, args as never, era)

  it('pass when they say the same; numbers are compared as numbers', () => {
    expect(
      check(['mcp-param-region', 'eu', 'Mcp-Param-Amount', '42.0', 'mcp-param-flag', 'true'], {
        region: 'eu',
        amount: 42,
        deep: { flag: true },
      }),
    ).toBeUndefined()
    expect(check(['mcp-param-region', '=?base64?SGVsbG8sIOS4lueVjA==?='], { region: 'Hello, 世界' })).toBeUndefined()
    expect(check(['mcp-param-unknown', 'x'], {})).toBeUndefined()
    expect(check([], { region: null })).toBeUndefined()
    expect(check([], { region: 'eu' }, 'legacy')).toBeUndefined()
  })

  it.each([
    ['another value', ['mcp-param-region', 'us'], { region: 'eu' }],
    ['another number', ['mcp-param-amount', '43'], { amount: 42 }],
    ['a number in another base', ['mcp-param-amount', '0x2a'], { amount: 42 }],
    ['a number with an exponent', ['mcp-param-amount', '4.2e1'], { amount: 42 }],
    ['a text for a truth value', ['mcp-param-flag', 'True'], { deep: { flag: true } }],
    ['no field for an argument', [], { region: 'eu' }],
    ['no argument for a field', ['mcp-param-region', 'eu'], {}],
    ['two fields', ['mcp-param-region', 'eu', 'Mcp-Param-Region', 'eu'], { region: 'eu' }],
    ['an object', ['mcp-param-region', '[object Object]'], { region: {} }],
  ])('are refused for %s', (_, headers, args) => {
    expect(check(headers, args)).toMatchObject(mismatch)
  })
})

it('decodes the one spelling of a value', () => {
  expect(decodeFieldValue('plain')).toBe('plain')
  expect(decodeFieldValue('=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=')).toBe('=?base64?literal?=')
  for (const wrong of ['=?base64?%%%?=', '=?base64?/w==?=', 'caf\u00e9', 'a\u0000b'])
    expect(decodeFieldValue(wrong)).toBeUndefined()
})

it('encodes what a field cannot hold as it is, and what would be decoded', () => {
  for (const text of ['plain', 'a b', ' a', 'a ', '', '世界', '=?base64?eA==?=', 'a\nb'])
    expect(decodeFieldValue(encodeFieldValue(text))).toBe(text)
  expect([encodeFieldValue('a b'), encodeFieldValue('é')]).toEqual(['a b', '=?base64?w6k=?='])
})

it('repeats in fields what a request says, as its check wants it', () => {
  const inputSchema = {
    properties: {
      amount: { 'x-mcp-header': 'Amount' },
      deep: { properties: { flag: { 'x-mcp-header': 'Flag' } } },
      left: { 'x-mcp-header': 'Left' },
      list: { 'x-mcp-header': 'List' },
    },
  }
  const params = { name: 'pay é', arguments: { amount: 42, deep: { flag: true }, list: [1] } }
  const fields = fieldsOfRequest('tools/call', params, { inputSchema })
  expect(fields).toEqual([
    ...['mcp-protocol-version', '2026-07-28', 'mcp-method', 'tools/call', 'mcp-name', '=?base64?cGF5IMOp?='],
    ...['mcp-param-amount', '42', 'mcp-param-flag', 'true'],
  ])
  expect(checkMirrors(fields, message('tools/call', params), 'modern')).toBeUndefined()
  expect(fieldsOfRequest('resources/read', { uri: 'file:///a' }, undefined)).toContain('file:///a')
  expect(fieldsOfRequest('tools/list', {}, undefined)).toHaveLength(4)
})
