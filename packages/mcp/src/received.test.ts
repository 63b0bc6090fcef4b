import { expect, it } from 'vitest'
import { answerAction, mcpAction } from './received.ts'

const post = (message: object) => ({
  method: 'POST',
  headers: ['content-type', 'application/json'],
  body: Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message })),
})
const result = { action: 'accept', content: { amount: '9' } }

it('takes an answer to a server for a call with all of it as arguments, under any id', () => {
  const action = (value: object) => answerAction('billing', 'elicitation/create', post(value))
  for (const id of [1, 'a'])
    expect(action({ id, result })).toEqual({
      name: 'tools/call',
      properties: { result },
      resource: { type: 'tool', id: 'billing/elicitation/create' },
    })
  expect(action({ id: 1, error: { code: 1, message: 'no' } })).toMatchObject({
    properties: { error: { code: 1, message: 'no' } },
  })
})

it('takes no answer for a request, and no request for an answer', () => {
  expect(mcpAction('billing', post({ id: 1, result }))).toMatchObject({ refused: 'mcp_method_unmapped' })
  const refused = { refused: 'mcp_message_malformed' }
  for (const message of [{ id: 1, method: 'tools/call', params: {} }, { id: 1, result, error: {} }, { id: 1 }])
    expect(answerAction('billing', 'roots/list', post(message))).toMatchObject(refused)
})
