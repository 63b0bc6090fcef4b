import { expect, it } from 'vitest'
import { apiEntry } from '../proxy/api-entry.ts'
import { operationsOfOpenApi } from './operations-of-openapi.ts'

const json = (schema: object) => ({ content: { 'application/json': { schema } } })
const document = {
  openapi: '3.1.0',
  paths: {
    '/invoices': {
      get: {
        operationId: 'listInvoices',
        parameters: [
          { name: 'status', in: 'query' },
          { $ref: '#/components/parameters/page' },
          { name: 'X-Tenant', in: 'header' },
        ],
      },
      post: { operationId: 'createInvoice', requestBody: { $ref: '#/components/requestBodies/invoice' } },
    },
    '/invoices/{invoice}': {
      parameters: [{ name: 'invoice', in: 'path' }],
      get: {},
      delete: { operationId: 'delete invoice!' },
      patch: { operationId: 'patchInvoice', requestBody: json({ type: 'object', additionalProperties: true }) },
    },
    '/invoices/{invoice}/payments': {
      post: {
        operationId: 'pay',
        requestBody: {
          content: {
            'application/xml': {},
            'application/x-www-form-urlencoded': { schema: { properties: { amount: {}, note: {} } } },
          },
        },
      },
    },
    '/receipts/{name}': { put: { operationId: 'upload', requestBody: { content: { 'application/PDF': {} } } } },
    '/invoices/{invoice}:cancel': { post: { operationId: 'cancel' } },
    '/loop': { post: { operationId: 'loop', requestBody: json({ $ref: '#/components/schemas/loop' }) } },
    '/twice/{id}': { get: { operationId: 'twice', parameters: [{ name: 'id', in: 'query' }] } },
    '/elsewhere': { post: { operationId: 'elsewhere', requestBody: json({ $ref: 'https://evil.example/schema' }) } },
  },
  components: {
    parameters: { page: { name: 'page', in: 'query' } },
    requestBodies: { invoice: json({ allOf: [{ $ref: '#/components/schemas/money' }, { properties: { note: {} } }] }) },
    schemas: {
      money: { properties: { amount: {}, currency: {} } },
      loop: { allOf: [{ $ref: '#/components/schemas/loop' }] },
    },
  },
}

it('takes the names of operations, parameters and members, and says what it leaves out', () => {
  const { operations, notes } = operationsOfOpenApi(document)
  expect(operations).toEqual({
    listInvoices: { request: 'GET /invoices', query: ['status', 'page'] },
    createInvoice: { request: 'POST /invoices', body: { json: ['amount', 'currency', 'note'] } },
    get_invoices_invoice: { request: 'GET /invoices/{invoice}' },
    delete_invoice: { request: 'DELETE /invoices/{invoice}' },
    patchInvoice: { request: 'PATCH /invoices/{invoice}', body: { json: 'any' } },
    pay: { request: 'POST /invoices/{invoice}/payments', body: { form: ['amount', 'note'] } },
    upload: { request: 'PUT /receipts/{name}', body: { opaque: ['application/pdf'] } },
    loop: { request: 'POST /loop', body: { json: 'any' } },
    elsewhere: { request: 'POST /elsewhere', body: { json: 'any' } },
  })
  expect(notes).toEqual([
    'listInvoices: the field x-tenant is sent on only if forward names it',
    'patchInvoice: its body may have any members: name them, if you know them',
    'pay: the body is not taken as application/xml',
    'cancel: left out: expected a method and a path, such as GET /invoices/{invoice}',
    'loop: its body may have any members: name them, if you know them',
    'twice: left out: two arguments have one name',
    'elsewhere: its body may have any members: name them, if you know them',
  ])
  expect(apiEntry.safeParse({ url: 'https://a.example', operations }).success).toBe(true)
})

it('makes no table of what is no description', () => {
  for (const wrong of [{}, { paths: [] }, { paths: { '/a': null } }, { paths: { '/a': { get: 1 } } }])
    expect(operationsOfOpenApi(wrong as never).operations).toEqual({})
})
