import { expect, it } from 'vitest'
import { type Era, type Message, readMessage } from './message.ts'
import { mayBeTask, taskAsked, taskBegun, taskTold } from './tasks.ts'

const request = (method: string, params: object) => readMessage({ jsonrpc: '2.0', id: 1, method, params }) as Message
const declared = {
  _meta: {
    'io.modelcontextprotocol/clientCapabilities': { extensions: { 'io.modelcontextprotocol/tasks': {} } },
  },
}

it('knows which calls may be answered by a task', () => {
  const calls: [era: Era, params: object, expected: boolean][] = [
    ['legacy', { name: 'a', task: {} }, true],
    ['legacy', { name: 'a', ...declared }, false],
    ['modern', { name: 'a', ...declared }, true],
    ['modern', { name: 'a' }, false],
    ['modern', { name: 'a', _meta: { 'io.modelcontextprotocol/clientCapabilities': { extensions: [] } } }, false],
  ]
  for (const [era, params, expected] of calls) expect(mayBeTask(era, request('tools/call', params))).toBe(expected)
  expect(mayBeTask('modern', request('prompts/get', { name: 'a', ...declared }))).toBe(false)
})

it('reads which task is meant, and nothing else', () => {
  expect(taskAsked('legacy', request('tasks/get', { taskId: 't', _meta: {} }))).toEqual({ id: 't' })
  expect(taskAsked('legacy', request('tasks/get', { taskId: 't', task: {} }))).toEqual({ id: 't' })
  for (const [era, task] of [
    ['legacy', { taskId: 'u' }],
    ['legacy', null],
    ['modern', {}],
  ] as const)
    expect(taskAsked(era, request('tasks/get', { taskId: 't', task }))).toMatchObject({
      refused: 'mcp_member_unmapped',
    })
  expect(taskAsked('legacy', request('tasks/list', { cursor: 'c' }))).toEqual({ id: undefined })
  for (const params of [{}, { taskId: 1 }, { taskId: ['t'] }, { taskId: 'x'.repeat(257) }])
    expect(taskAsked('modern', request('tasks/get', params))).toMatchObject({ refused: 'mcp_message_malformed' })
  for (const params of [
    { taskId: 't', TaskId: 'u' },
    { taskId: 't', inputResponses: {} },
  ])
    expect(taskAsked('modern', request('tasks/get', params))).toMatchObject({ refused: 'mcp_member_unmapped' })
})

it('reads what a server says of a task', () => {
  const working = { id: 't', status: 'working', hasFailed: false, pollMs: undefined }
  expect(taskBegun('legacy', { result: { task: { taskId: 't', status: 'working' } } })).toEqual(working)
  expect(taskBegun('modern', { result: { resultType: 'task', taskId: 't', status: 'working' } })).toEqual(working)
  for (const result of [{ taskId: 't', status: 'working' }, { resultType: 'task' }, { resultType: 'complete' }, null])
    expect(taskBegun('modern', { result })).toBeUndefined()
  expect(taskBegun('legacy', { result: { resultType: 'task', taskId: 't', status: 'working' } })).toBeUndefined()
  expect(taskTold({ result: { taskId: 't', status: 'failed', pollInterval: 20 } })).toEqual({
    ...{ id: 't', status: 'failed', hasFailed: true, pollMs: 20 },
  })
  const failed = { taskId: 't', status: 'completed', result: { isError: true }, pollIntervalMs: -1 }
  expect(taskTold({ result: failed })).toMatchObject({ hasFailed: true, pollMs: undefined })
  expect(taskTold({ error: { code: -32602 } })).toBeUndefined()
})
