import { createHash } from 'node:crypto'
import type { RelayRequest } from '@bailiwick/relay'
import { describe, expect, it } from 'vitest'
import { apiEntry } from './api-entry.ts'
import { apiManifest } from './api-manifest.ts'
import { actionByOperation, actionByUrl } from './operations.ts'

const table = {
  list: { request: 'GET /invoices', query: ['status', 'page'] },
  read: { request: 'GET /invoices/{invoice}' },
  export_all: { request: 'GET /invoices/export' },
  create: { request: 'POST /invoices', query: ['dry_run'], body: { json: ['amount', 'currency', 'lines'] } },
  adjust: { request: 'PATCH /invoices/{invoice}', body: { json: 'any' } },
  pay: { request: 'POST /invoices/{invoice}/payments', body: { form: ['amount', 'note'] } },
  upload: { request: 'PUT /files/{name}', body: { opaque: ['application/pdf'] } },
}
const entryOf = (operations: object, more: object = {}) =>
  apiEntry.parse({ url: 'https://erp.example/v1', operations, forward: ['idempotency-key'], ...more })
const { operations = {}, forward } = entryOf(table)
const toAction = actionByOperation('erp', operations, forward)

function ask(line: string, body = '', type?: string, headers: string[] = []) {
  const [method = '', target = ''] = line.split(' ')
  const typed = type === undefined ? [] : ['content-type', type]
  return toAction({ method, target, headers: [...typed, ...headers], body: Buffer.from(body) } satisfies RelayRequest)
}
const json = (line: string, body: unknown) => ask(line, JSON.stringify(body), 'application/json')
const call = (tool: string, properties: object) => ({
  name: 'tools/call',
  properties,
  resource: { type: 'tool', id: `erp/${tool}` },
})

describe('a request that is an operation is a call of its tool, with its arguments side by side', () => {
  it.each([
    [ask('GET /invoices'), call('list', {})],
    [ask('GET /invoices?status=open&page=2'), call('list', { status: 'open', page: '2' })],
    [ask('GET /invoices/4711'), call('read', { invoice: '4711' })],
    [ask('GET /invoices/a%20b%3Ac'), call('read', { invoice: 'a b:c' })],
    [ask('GET /invoices/export'), call('export_all', {})],
    [json('POST /invoices?dry_run=1', { amount: 5 }), call('create', { dry_run: '1', amount: 5 })],
    [json('PATCH /invoices/1', { a: { b: [1] } }), call('adjust', { invoice: '1', a: { b: [1] } })],
    [
      ask('POST /invoices/1/payments', 'amount=5.00&note=a+b%26', 'application/x-www-form-urlencoded'),
      call('pay', { invoice: '1', amount: '5.00', note: 'a b&' }),
    ],
    [
      ask('PUT /files/a.pdf', '%PDF', 'application/pdf'),
      call('upload', {
        name: 'a.pdf',
        content_type: 'application/pdf',
        body_sha256: createHash('sha256').update('%PDF').digest('base64url'),
      }),
    ],
    [
      ask('GET /invoices/1', '', undefined, ['Idempotency-Key', 'k1', 'X-Other', 'y']),
      call('read', { invoice: '1', headers: { 'idempotency-key': 'k1' } }),
    ],
  ])('%#', (action, expected) => expect(action).toEqual(expected))
})

describe('any other request is refused by the name of the rule', () => {
  it.each<[string, string, unknown]>([
    ['another method', 'operation_unmapped', ask('DELETE /invoices/1')],
    ['another path', 'operation_unmapped', ask('GET /users')],
    ['a slash at the end', 'operation_unmapped', ask('GET /invoices/')],
    ['a deeper path', 'operation_unmapped', ask('GET /invoices/1/lines')],
    ['another case of text', 'operation_unmapped', ask('GET /Invoices')],
    ['a value that is another operation in capitals', 'operation_ambiguous', ask('GET /invoices/EXPORT')],
    ['the same in wide letters', 'operation_ambiguous', ask(`GET /invoices/${encodeURIComponent('ｅxport')}`)],
    ['a method of its own at the end of a value', 'operation_argument_spelling', ask('GET /invoices/1:cancel')],
    ['a plus in the path', 'operation_argument_spelling', ask('GET /invoices/a+b')],
    ['a parameter that it does not have', 'operation_member_unmapped', ask('GET /invoices?all=1')],
    ['a parameter where there is none', 'operation_member_unmapped', ask('GET /invoices/1?fields=secret')],
    ['a member that it does not have', 'operation_member_unmapped', json('POST /invoices', { amount: 1, to: 'me' })],
    [
      'a member named like the value in the path',
      'operation_member_unmapped',
      json('PATCH /invoices/1', { invoice: '2' }),
    ],
    [
      'a member named like the value in the path, in another case',
      'operation_member_unmapped',
      json('PATCH /invoices/1', { Invoice: '2' }),
    ],
    ['a member named like the fields', 'operation_member_unmapped', json('PATCH /invoices/1', { headers: { a: 1 } })],
    ['a member named like a parameter', 'operation_member_unmapped', json('POST /invoices', { dry_run: 0 })],
    ['a list', 'operation_member_unmapped', json('POST /invoices', [{ amount: 1 }])],
    [
      'a form in place of JSON',
      'content_type_unsupported',
      ask('POST /invoices', 'amount=1', 'application/x-www-form-urlencoded'),
    ],
    ['JSON in place of a form', 'content_type_unsupported', json('POST /invoices/1/payments', { amount: 1 })],
    ['another kind of JSON', 'content_type_unsupported', ask('POST /invoices', '{}', 'application/merge-patch+json')],
    ['another media type', 'content_type_unsupported', ask('PUT /files/a', '<b>', 'text/html')],
    ['a body where there is none', 'request_malformed', ask('GET /invoices/1', '{}', 'application/json')],
    [
      'a field twice',
      'form_malformed',
      ask('POST /invoices/1/payments', 'amount=1&amount=2', 'application/x-www-form-urlencoded'),
    ],
    [
      'a field twice, in another case',
      'form_malformed',
      ask('POST /invoices/1/payments', 'amount=1&Amount=2', 'application/x-www-form-urlencoded'),
    ],
    [
      'a field as a list',
      'form_malformed',
      ask('POST /invoices/1/payments', 'amount%5B%5D=1', 'application/x-www-form-urlencoded'),
    ],
    [
      'fields separated by ;',
      'form_malformed',
      ask('POST /invoices/1/payments', 'amount=1;note=2', 'application/x-www-form-urlencoded'),
    ],
    [
      'a field that is not UTF-8',
      'form_malformed',
      ask('POST /invoices/1/payments', 'note=%C0%AF', 'application/x-www-form-urlencoded'),
    ],
  ])('%s', (_, refused, answer) => expect(answer).toMatchObject({ refused }))
})

it('refuses a media type without a body: it would be sent, and is no argument', () => {
  const versioned = 'application/vnd.acme.v2+json'
  expect(ask('GET /invoices', '', versioned)).toMatchObject({ refused: 'operation_member_unmapped' })
  expect(ask('POST /invoices', '', versioned)).toMatchObject({ refused: 'operation_member_unmapped' })
})

describe('a body that a proxy does not show', () => {
  const unseen = (line: string, type?: string, of = toAction) => {
    const [method = '', target = ''] = line.split(' ')
    const headers = type === undefined ? [] : ['content-type', type]
    return of({ method, target, headers, body: new Uint8Array(), isBodyUnseen: true })
  }

  it('is marked in the action where the table says nothing of its members', () => {
    const { operations: search = {} } = entryOf({ search: { request: 'POST /search', body: { json: 'any' } } })
    expect(unseen('POST /search', 'application/json', actionByOperation('erp', search, []))).toEqual(
      call('search', { body_unseen: true }),
    )
    expect(unseen('PUT /files/a.pdf', 'application/pdf')).toEqual(
      call('upload', { name: 'a.pdf', content_type: 'application/pdf', body_unseen: true }),
    )
    expect(unseen('GET /invoices/1')).toEqual(call('read', { invoice: '1' }))
    const byUrl = actionByUrl({ url: 'https://erp.example', forward: [] })
    expect(unseen('POST /x', 'application/json', byUrl)).toMatchObject({
      properties: { query: {}, content_type: 'application/json', body_unseen: true },
    })
    expect(unseen('DELETE /x', undefined, byUrl)).toMatchObject({ properties: { query: {} } })
  })

  it.each([
    ['an operation whose members people signed', 'body_not_shown', 'POST /invoices', 'application/json'],
    ['a form whose fields people signed', 'body_not_shown', 'POST /invoices/1/payments', undefined],
    [
      'members that could be named like the value in the path',
      'body_not_shown',
      'PATCH /invoices/1',
      'application/json',
    ],
    ['another media type', 'content_type_unsupported', 'PUT /files/a.pdf', 'text/plain'],
    ['no media type', 'content_type_unsupported', 'PUT /files/a.pdf', undefined],
  ])('is refused for %s', (_, refused, line, type) => expect(unseen(line, type)).toMatchObject({ refused }))

  it('is refused where people signed that there is none', () => {
    const { operations: cancel = {} } = entryOf({ cancel: { request: 'POST /invoices/{invoice}/cancel' } })
    expect(unseen('POST /invoices/1/cancel', undefined, actionByOperation('erp', cancel, []))).toMatchObject({
      refused: 'body_not_shown',
    })
  })

  it('cannot be forged by a member of a body that is shown', () => {
    expect(json('PATCH /invoices/1', { body_unseen: true })).toMatchObject({ refused: 'operation_member_unmapped' })
  })
})

it('takes the usual media types without a body: many clients send one with every request', () => {
  expect(ask('GET /invoices', '', 'application/json')).toEqual(ask('GET /invoices'))
})

it('refuses a table that could be read in two ways', () => {
  const faults = (operations: object) => apiEntry.safeParse({ url: 'https://a.example', operations }).success
  expect(faults({ a: { request: 'GET /x/{y}' }, b: { request: 'GET /x/{z}' } })).toBe(false)
  expect(faults({ a: { request: 'GET /x/{y}', query: ['y'] } })).toBe(false)
  expect(faults({ a: { request: 'GET /x/{y}', query: ['Y'] } })).toBe(false)
  expect(faults({ a: { request: 'GET /x', body: { json: 'any' } } })).toBe(false)
  expect(faults({ a: { request: 'GET /x/../y' } })).toBe(false)
  expect(faults({ a: { request: 'GET /x/pre{y}' } })).toBe(false)
  expect(faults({ a: { request: 'TRACE /x' } })).toBe(false)
  expect(faults({ a: { request: 'GET /x', query: ['headers'] } })).toBe(false)
  expect(faults({ a: { request: 'GET /x/{y}', limits: 1 } })).toBe(false)
  expect(faults({})).toBe(false)
  expect(faults({ a: { request: 'GET /x/{y}' }, b: { request: 'GET /x/z' }, c: { request: 'POST /x/{y}' } })).toBe(true)
})

it('has another manifest when an operation means something else, and the same in another order', () => {
  const hash = apiManifest(entryOf(table))
  const changed = [
    entryOf({ ...table, read: { request: 'GET /admin/{invoice}' } }),
    entryOf({ ...table, list: { ...table.list, query: ['status', 'page', 'all'] } }),
    entryOf(table, { url: 'https://other.example/v1' }),
    entryOf(table, { forward: [] }),
  ]
  for (const entry of changed) expect(apiManifest(entry)).not.toBe(hash)
  const { list, ...rest } = table
  expect(apiManifest(entryOf({ ...rest, list: { ...list, query: ['page', 'status'] } }))).toBe(hash)
  expect(apiManifest(apiEntry.parse({ url: 'https://erp.example' }))).toBeUndefined()
})
