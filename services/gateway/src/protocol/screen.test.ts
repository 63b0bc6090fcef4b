import { expect, it } from 'vitest'
import { type Screen, screenEvents, screenJson } from './screen.ts'

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}

async function through(text: string, more: Partial<Screen> = {}) {
  const asked: string[] = []
  const screen: Screen = {
    id: 7,
    onRequest: (id, method) => {
      asked.push(`${method} ${id}`)
      return method === 'elicitation/create'
    },
    onNotification: () => undefined,
    ...more,
  }
  let passed = ''
  for await (const chunk of screenEvents(once(text), screen)) passed += Buffer.from(chunk).toString()
  return { passed, asked }
}

const event = (message: object) => `data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`
const progress = event({ method: 'notifications/progress', params: { progress: 1 } })
const response = event({ id: 7, result: { content: [] } })

it('passes on notifications and the one response, byte for byte', async () => {
  const text = `: hello\n\nid: 1\ndata: \n\n${progress}${response}`
  expect(await through(text)).toEqual({ passed: text, asked: [] })
})

it('passes on no request of the server', async () => {
  const sampling = event({ id: 1, method: 'sampling/createMessage', params: {} })
  expect(await through(`${sampling}${response}`)).toEqual({ passed: response, asked: ['sampling/createMessage 1'] })
})

it('passes on a request of the server that may pass, and no other', async () => {
  const asks = event({ id: 'e', method: 'elicitation/create', params: { message: 'Which?' } })
  const sampling = event({ id: 1, method: 'sampling/createMessage', params: {} })
  expect((await through(`${asks}${sampling}${response}`)).passed).toBe(`${asks}${response}`)
})

it('passes on the response to another request only where no request is answered, and that response is awaited', async () => {
  const awaited = new Set<string | number>([7])
  const isAwaited = (id: string | number) => awaited.delete(id)
  const other = event({ id: 8, result: {} })
  expect((await through(`${other}${response}${response}`, { id: undefined, isAwaited })).passed).toBe(response)
  const own = event({ id: 9, result: {} })
  expect((await through(`${other}${response}${own}`, { id: 9, isAwaited: () => true })).passed).toBe(own)
})

it('passes on no notification about a task, which may be another client’s', async () => {
  const tasks = ['notifications/tasks', 'notifications/tasks/status'].map((method) =>
    event({ method, params: { taskId: 't', result: {} } }),
  )
  expect((await through(`${tasks.join('')}${progress}${response}`)).passed).toBe(`${progress}${response}`)
})

it('passes on no second response, and none to another request', async () => {
  const other = event({ id: 8, result: { content: ['other'] } })
  expect((await through(`${other}${response}${response}${other}`)).passed).toBe(response)
})

it.each([
  ['what is no JSON', 'data: {"id":1\n\n'],
  ['a list of messages', `data: [${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'sampling/createMessage' })}]\n\n`],
  [
    'two readings of one member',
    'data: {"jsonrpc":"2.0","method":"notifications/x","id":1,"method":"sampling/createMessage"}\n\n',
  ],
  ['a message that is both', 'data: {"jsonrpc":"2.0","id":7,"result":{},"method":"sampling/createMessage"}\n\n'],
])('ends a stream at %s', async (_, text) => {
  await expect(through(`${text}${response}`)).rejects.toMatchObject({ code: 'upstream_failed' })
})

it('takes a stream that ends before the response for no answer', async () => {
  const other = event({ id: 8, result: {} })
  for (const text of ['', progress, other])
    await expect(through(text)).rejects.toMatchObject({ code: 'upstream_failed' })
  // A stream of notifications answers nothing.
  expect((await through(progress, { id: undefined })).passed).toBe(progress)
})

it('takes such a stream for whole where the client can get the response elsewhere', async () => {
  let brokenOff = 0
  const onBrokenOff = () => brokenOff++
  const primed = `id: e-1\n${progress}`
  expect((await through(primed, { onBrokenOff })).passed).toBe(primed)
  expect((await through(`${primed}${response}`, { onBrokenOff })).passed).toBe(`${primed}${response}`)
  expect(brokenOff).toBe(1)
  await expect(through(progress, { onBrokenOff })).rejects.toMatchObject({ code: 'upstream_failed' })
})

it('takes a JSON body only if it is the response', () => {
  const screen: Screen = { id: 7, onRequest: () => false, onNotification: () => undefined }
  const bytes = Buffer.from('{"jsonrpc":"2.0","id":7,"result":{"n":1.0,"x":{}}}')
  expect(screenJson(bytes, screen)).toBe(bytes)
  for (const text of [
    '{"jsonrpc":"2.0","id":8,"result":{}}',
    '{"jsonrpc":"2.0","id":"7","result":{}}',
    '{"jsonrpc":"2.0","id":7,"method":"roots/list"}',
    '[]',
    '',
    '{"jsonrpc":"2.0","id":7,"result":{}}{"jsonrpc":"2.0","id":7,"result":{}}',
  ])
    expect(() => screenJson(Buffer.from(text), screen)).toThrow('upstream_failed')
})
