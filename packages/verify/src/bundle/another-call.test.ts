import { actionDigest, actionText, sha256 } from '@bailiwick/credentials'
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

it('accepts as the arguments of an ask only the text whose hash is its digest (V3)', () => {
  const at = '/arguments' as const
  const action_digest = actionDigest(call)
  const named = { name: call.name, resource, action_digest, arguments: { '/invoice': 'INV-1' } }
  const stepUp = { kind: 'step_up', action: named }
  for (const data of [{ kind: 'access', action_digest }, stepUp]) {
    expect(isAnotherCall({ at }, text, data)).toBe(false)
    const other = actionText({ ...call, properties: { invoice: 'INV-40' } })
    for (const each of [other, ` ${text}`, text.replace('{', '{"a":1,'), 'words', ''])
      expect(isAnotherCall({ at }, each, data), each).toBe(true)
    expect(isAnotherCall({ at }, text, {})).toBe(true)
  }
  // A text that is not an action, and a denial that names another action than its digest.
  expect(isAnotherCall({ at }, 'words', { action_digest: sha256('words') })).toBe(true)
  expect(isAnotherCall({ at }, text, { action: { ...named, arguments: { '/invoice': 'INV-40' } } })).toBe(true)
})
