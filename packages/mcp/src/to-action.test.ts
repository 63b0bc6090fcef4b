import { describe, expect, it } from 'vitest'
import { type Era, type Message, readMessage } from './message.ts'
import { mappingOf } from './methods.ts'
import { actionOf } from './to-action.ts'

const action = (method: string, params: object, era: Era = 'legacy') =>
  actionOf('billing', era, readMessage({ jsonrpc: '2.0', id: 1, method, params }) as Message)

describe('every request that is decided is a call of a tool', () => {
  it('with the arguments of the call', () => {
    expect(
      action('tools/call', { name: 'read', arguments: { invoice: 'INV-1' }, _meta: { progressToken: 1 } }),
    ).toEqual({
      name: 'tools/call',
      properties: { invoice: 'INV-1' },
      resource: { type: 'tool', id: 'billing/read' },
    })
    // Absence stays absence on the wire; the action of both is the same.
    expect(action('tools/call', { name: 'read' })).toEqual(action('tools/call', { name: 'read', arguments: {} }))
  })

  it('and any other method is a tool of its own, with its parameters', () => {
    expect(action('resources/read', { uri: 'file:///a' })).toEqual({
      name: 'tools/call',
      properties: { uri: 'file:///a' },
      resource: { type: 'tool', id: 'billing/resources/read' },
    })
    expect(action('prompts/get', { name: 'greet', arguments: { a: 'b' } })).toMatchObject({
      properties: { name: 'greet', arguments: { a: 'b' } },
      resource: { id: 'billing/prompts/get' },
    })
  })
})

it('a round after input_required is decided with its answers and its state', () => {
  const round = {
    inputResponses: { amount: { action: 'accept', content: { amount: '9000' } } },
    requestState: 'sealed',
  }
  expect(action('tools/call', { name: 'pay', arguments: { to: 'a' }, ...round }, 'modern')).toMatchObject({
    properties: { to: 'a', ...round },
    resource: { id: 'billing/pay' },
  })
  expect(action('prompts/get', { name: 'greet', ...round }, 'modern')).toMatchObject({
    properties: { name: 'greet', ...round },
  })
  // An argument of such a name would be the same action as the answer, and the server would do something else.
  for (const era of ['legacy', 'modern'] as const)
    for (const hidden of [{ requestState: 'x' }, { inputResponses: round.inputResponses }])
      expect(action('tools/call', { name: 'pay', arguments: hidden }, era)).toMatchObject({
        refused: 'mcp_message_malformed',
      })
})

it('a call that is to be a task is another action, and `task` stays free for arguments of tools', () => {
  const asked = { name: 'read', arguments: { task: 'sum' }, task: { ttl: 60_000 } }
  expect(action('tools/call', asked)).toMatchObject({
    properties: { task: 'sum', 'io.modelcontextprotocol/task': { ttl: 60_000 } },
    resource: { id: 'billing/read' },
  })
  for (const task of [null, [], 'x', { ttl: -1 }, { ttl: 1.5 }, { ttl: '1' }, { ttl: 1, more: 1 }])
    expect(action('tools/call', { ...asked, task })).toMatchObject({ refused: 'mcp_member_unmapped' })
  const hidden = { name: 'read', arguments: { 'io.modelcontextprotocol/task': {} } }
  for (const era of ['legacy', 'modern'] as const)
    expect(action('tools/call', hidden, era)).toMatchObject({ refused: 'mcp_message_malformed' })
  expect(action('tools/call', asked, 'modern')).toMatchObject({ refused: 'mcp_member_unmapped' })
})

it('an answer to a question of a task is decided, and no stream shows what becomes of tasks', () => {
  const update = { taskId: 't', inputResponses: { amount: { action: 'accept' } } }
  expect(action('tasks/update', update, 'modern')).toMatchObject({
    properties: update,
    resource: { id: 'billing/tasks/update' },
  })
  expect(action('tasks/update', { ...update, taskId: 1 }, 'modern')).toMatchObject({ refused: 'mcp_message_malformed' })
  expect(action('subscriptions/listen', { notifications: { taskIds: ['t'] } }, 'modern')).toMatchObject({
    refused: 'mcp_member_unmapped',
  })
})

it.each([
  ['a parameter that the action cannot express', 'tools/call', { name: 'read', priority: 1 }, 'mcp_member_unmapped'],
  ['inputs that answer a server', 'tools/call', { name: 'read', inputResponses: {} }, 'mcp_member_unmapped'],
  ['state that a client hands back', 'tools/call', { name: 'read', requestState: 'x' }, 'mcp_member_unmapped'],
  ['another spelling of a parameter', 'tools/call', { name: 'read', Name: 'delete' }, 'mcp_member_unmapped'],
  ['no name', 'tools/call', {}, 'mcp_message_malformed'],
  ['a name that is a path', 'tools/call', { name: 'resources/read' }, 'mcp_message_malformed'],
  ['a name with letters that look alike', 'tools/call', { name: 're\u0430d' }, 'mcp_message_malformed'],
  ['a list of arguments', 'tools/call', { name: 'read', arguments: [] }, 'mcp_message_malformed'],
  ['no arguments but null', 'tools/call', { name: 'read', arguments: null }, 'mcp_message_malformed'],
  ['a method without a mapping', 'tasks/frob', { taskId: '1' }, 'mcp_method_unmapped'],
  ['a request about a task, which is not decided', 'tasks/get', { taskId: '1' }, 'mcp_method_unmapped'],
  ['a method that is never decided', 'tools/list', {}, 'mcp_method_unmapped'],
  ['a name that every object has', 'constructor', {}, 'mcp_method_unmapped'],
])('%s is refused', (_, method, params, refused) => {
  expect(action(method, params)).toMatchObject({ refused })
})

describe('the methods of a client', () => {
  // From schema/2025-11-25 and schema/2026-07-28: ClientRequest and ClientNotification.
  const methods: Record<Era, { mapped: string[]; denied: string[] }> = {
    legacy: {
      mapped: [
        ...[
          'ping',
          'initialize',
          'completion/complete',
          'logging/setLevel',
          'prompts/get',
          'prompts/list',
          'resources/list',
        ],
        ...[
          'resources/templates/list',
          'resources/read',
          'resources/subscribe',
          'resources/unsubscribe',
          'tools/call',
          'tools/list',
        ],
        ...[
          'notifications/cancelled',
          'notifications/progress',
          'notifications/initialized',
          'notifications/roots/list_changed',
        ],
        ...['tasks/get', 'tasks/result', 'tasks/list', 'tasks/cancel'],
      ],
      denied: ['tasks/update', 'notifications/tasks/status', 'server/discover', 'subscriptions/listen'],
    },
    modern: {
      mapped: [
        ...[
          'server/discover',
          'completion/complete',
          'prompts/get',
          'prompts/list',
          'resources/list',
          'resources/templates/list',
        ],
        ...['resources/read', 'subscriptions/listen', 'tools/call', 'tools/list', 'notifications/cancelled'],
        ...['tasks/get', 'tasks/cancel', 'tasks/update'],
      ],
      denied: [
        'initialize',
        'ping',
        'logging/setLevel',
        'resources/subscribe',
        'resources/unsubscribe',
        'tasks/result',
        'tasks/list',
      ],
    },
  }

  it.each(['legacy', 'modern'] as const)('each have a mapping or are denied by name: %s', (era) => {
    for (const method of methods[era].mapped)
      expect([method, mappingOf(era, method)]).toEqual([method, expect.anything()])
    for (const method of methods[era].denied) expect([method, mappingOf(era, method)]).toEqual([method, undefined])
  })
})
