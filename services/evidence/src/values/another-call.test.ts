import { actionText } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { isAnotherCall } from './another-call.ts'

const resource = { type: 'tool', id: 'invoices/read' }
const call = { name: 'tools/call', resource, properties: { invoice: 'INV-1', of: { customer: 'ACME' } } }
const text = actionText(call)
const at = '/action/call'
const event = { action: { name: 'tools/call', resource, call: {}, arguments: { '/invoice': 'INV-1' } } }

it('takes for the call of a decision only what its event says, and nothing beside it (V3)', () => {
  expect(isAnotherCall({ at }, text, event)).toBe(false)
  const { arguments: _, ...unnamed } = event.action
  expect(isAnotherCall({ at }, actionText({ ...call, properties: {} }), { action: unnamed })).toBe(false)
  for (const other of [
    actionText({ ...call, name: 'tools/list' }),
    actionText({ ...call, resource: { ...resource, id: 'invoices/delete' } }),
    actionText({ ...call, properties: { ...call.properties, invoice: 'INV-2' } }),
    actionText({ ...call, properties: {} }),
    text.replace('{', '{"a":"and more",'),
    text.replace('"name"', '"more":1,"name"'),
    ` ${text}`,
    text.replace('"INV-1"', '"INV-2","invoice":"INV-1"'),
    '{}',
    'null',
    '[]',
    'words',
    '',
  ])
    expect(isAnotherCall({ at }, other, event), other).toBe(true)
  expect(isAnotherCall({ at }, text, {})).toBe(true)
  expect(isAnotherCall({ at: '/purpose' }, 'words', event)).toBe(false)
})
