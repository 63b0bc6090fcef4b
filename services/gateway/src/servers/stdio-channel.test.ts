import { join } from 'node:path'
import type { Executed, RelayRequest } from '@bailiwick/relay'
import { expect, it } from 'vitest'
import { StdioChannel } from './stdio-channel.ts'

const fixture = join(import.meta.dirname, '../fixture/stdio-server.fixture.ts')

async function open(script?: string, more: { env?: Record<string, string>; secrets?: string[] } = {}) {
  const channel = await StdioChannel.start({
    era: 'legacy',
    command: script === undefined ? [process.execPath, fixture] : [process.execPath, '-e', script],
    ...more,
    env: { PATH: process.env.PATH ?? '', ...more.env },
    mark: `channel-${process.pid}-${Math.random()}`,
    answerMs: 30_000,
  })
  return { channel, [Symbol.asyncDispose]: () => channel.end() }
}

const request = (message: object): RelayRequest => ({
  method: 'POST',
  target: '',
  headers: [],
  body: Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message })),
})
const forever = () => new AbortController().signal

async function textOf({ body }: Executed): Promise<string> {
  let text = ''
  for await (const chunk of body) text += Buffer.from(chunk).toString()
  return text
}

/** A hand-written server: `on` gets each message, and a function that sends messages. */
const server = (on: string) => `
  const say = (message) => console.log(JSON.stringify({ jsonrpc: '2.0', ...message }))
  const seen = []
  require('readline').createInterface({ input: process.stdin }).on('line', (line) => { const message = JSON.parse(line); seen.push(message); (${on})(message, say, seen) })`

it('answers a request with its response', async () => {
  await using it = await open()
  const answer = await it.channel.exchange(request({ id: 'a', method: 'tools/list' }), forever())
  expect(answer.headers).toEqual(['content-type', 'application/json'])
  expect(JSON.parse(await textOf(answer))).toMatchObject({ id: 'a', result: { tools: expect.any(Array) } })
  expect((await it.channel.exchange(request({ method: 'notifications/initialized' }), forever())).status).toBe(202)
})

it('gives each request what names it, and nothing of another', async () => {
  await using it = await open(
    server(`({ id, params }, say) => setTimeout(() => {
      say({ method: 'notifications/progress', params: { progressToken: params._meta.progressToken, progress: 1 } })
      say({ id, result: { of: id } })
    }, id === 1 ? 60 : 10)`),
  )
  const ask = (id: number) =>
    it.channel.exchange(
      request({ id, method: 'tools/call', params: { _meta: { progressToken: `t${id}` } } }),
      forever(),
    )
  const [one, two] = await Promise.all([ask(1).then(textOf), ask(2).then(textOf)])
  expect(one).toContain('"t1"')
  expect(one).toContain('"of":1')
  expect(`${one}`).not.toContain('t2')
  expect(two).toContain('"of":2')
  expect(two).not.toContain('t1')
})

it('passes on no notification about a task, which may be another client’s', async () => {
  await using it = await open(
    server(`({ id }, say) => {
      say({ method: 'notifications/tasks/status', params: { taskId: 't', statusMessage: 'secret' } })
      say({ method: 'notifications/message', params: { level: 'info', data: 'passes' } })
      say({ id, result: {} })
    }`),
  )
  const text = await textOf(await it.channel.exchange(request({ id: 1, method: 'tools/call' }), forever()))
  expect([text.includes('secret'), text.includes('passes')]).toEqual([false, true])
})

it('refuses a second request under an id that is in use', async () => {
  await using it = await open(server('() => undefined'))
  const left = new AbortController()
  const first = it.channel.exchange(request({ id: 1, method: 'tools/call' }), left.signal)
  first.catch(() => undefined)
  await expect(it.channel.exchange(request({ id: 1, method: 'tools/call' }), forever())).rejects.toMatchObject({
    code: 'call_in_progress',
  })
  left.abort()
  await expect(first).rejects.toMatchObject({ code: 'stream_cut' })
})

it('gives no request the answer to an earlier one of the same id that was given up', async () => {
  await using it = await open(
    server(
      `({ id, method, params }, say) => method === 'tools/call' && setTimeout(() => say({ id, result: { of: params.name } }), 300)`,
    ),
  )
  const left = new AbortController()
  const first = it.channel.exchange(request({ id: 1, method: 'tools/call', params: { name: 'hidden' } }), left.signal)
  first.catch(() => undefined)
  left.abort()
  await expect(first).rejects.toMatchObject({ code: 'stream_cut' })
  const again = it.channel.exchange(request({ id: 1, method: 'tools/call', params: { name: 'open' } }), forever())
  await expect(again).rejects.toMatchObject({ code: 'upstream_unreachable' })
  expect(it.channel.isOver).toBe(true)
})

it('takes an id again once the server has answered it', async () => {
  await using it = await open(server('({ id }, say) => say({ id, result: {} })'))
  for (let n = 0; n < 2; n++) await textOf(await it.channel.exchange(request({ id: 1, method: 'ping' }), forever()))
  expect(it.channel.isOver).toBe(false)
})

it('shows no secret that the server was given, as written or escaped (V17)', async () => {
  const secret = 'sk-"0123456789'
  await using it = await open(
    server(`({ id, method }, say) => {
      if (method === 'stream') say({ method: 'notifications/message', params: { data: process.env.TOKEN } })
      say({ id, result: { text: method === 'clean' ? 'clean' : process.env.TOKEN } })
    }`),
    { env: { TOKEN: secret }, secrets: [secret] },
  )
  const ask = (id: number, method: string) => it.channel.exchange(request({ id, method }), forever()).then(textOf)
  for (const [n, method] of ['whole', 'stream'].entries())
    await expect(ask(n, method)).rejects.toMatchObject({ code: 'answer_withheld' })
  expect(await ask(3, 'clean')).toContain('clean')
})

it('keeps a bounded part of what a client does not read (V18)', async () => {
  await using it = await open(
    server(`({ id }, say) => {
      for (let n = 0; n < 40; n++) say({ method: 'notifications/message', params: { data: 'x'.repeat(1_000_000) } })
      say({ id, result: {} })
    }`),
  )
  const stream = await it.channel.exchange({ method: 'GET', target: '', headers: [], body: Buffer.alloc(0) }, forever())
  await textOf(await it.channel.exchange(request({ id: 1, method: 'flood' }), forever()))
  await expect(textOf(stream)).rejects.toMatchObject({ code: 'upstream_too_large' })
})

it('denies requests of the server, and shows none to the client', async () => {
  await using it = await open(
    server(`({ id, method, error }, say, seen) => {
      if (method === 'tools/call') { say({ id: 99, method: 'sampling/createMessage', params: {} }); globalThis.call = id }
      else if (error) say({ id: globalThis.call, result: { denied: error.code } })
    }`),
  )
  const text = await textOf(await it.channel.exchange(request({ id: 1, method: 'tools/call' }), forever()))
  expect(JSON.parse(text)).toMatchObject({ id: 1, result: { denied: -32601 } })
})

it('passes a request of the server in an answer that a decision allowed, without secrets, and in no other', async () => {
  const secret = 'sk-0123456789'
  await using it = await open(
    server(`({ id, method, params, error }, say) => {
      if (error) return say({ id: globalThis.call, result: { denied: error.code } })
      globalThis.call = id
      const message = params?.name === 'leak' ? process.env.TOKEN : 'Which?'
      say({ id: 'e' + id, method: 'elicitation/create', params: { message } })
      if (params?.name) say({ id, result: {} })
    }`),
    { env: { TOKEN: secret }, secrets: [secret] },
  )
  it.channel.mayAsk = () => true
  const call = (id: number, params: object, options?: { isDecided: boolean }) =>
    it.channel.exchange(request({ id, method: 'tools/call', params }), forever(), undefined, options).then(textOf)
  expect(await call(1, { name: 'ask' }, { isDecided: true })).toContain('"method":"elicitation/create"')
  await expect(call(2, { name: 'leak' }, { isDecided: true })).rejects.toMatchObject({ code: 'answer_withheld' })
  expect(JSON.parse(await call(3, {}))).toMatchObject({ id: 3, result: { denied: -32601 } })
})

it('keeps a bounded part of what a client answers to a server that does not read (V18)', async () => {
  await using it = await open('setInterval(() => undefined, 1000)')
  const answer = () => it.channel.exchange(request({ id: 'e', result: { text: 'x'.repeat(1 << 20) } }), forever())
  const all = await Promise.allSettled(Array.from({ length: 64 }, answer))
  const last = all.at(-1)
  expect(last?.status === 'rejected' ? last.reason : last).toMatchObject({ code: 'upstream_busy' })
  expect(all.filter(({ status }) => status === 'fulfilled').length).toBeLessThan(20)
})

it('tells the server when the client gave a request up', async () => {
  await using it = await open(
    server(
      `({ method, params, id }, say) => method === 'notifications/cancelled' ? globalThis.cancelled = params.requestId : method === 'asked' && say({ id, result: { cancelled: globalThis.cancelled } })`,
    ),
  )
  const left = new AbortController()
  const first = it.channel.exchange(request({ id: 5, method: 'tools/call' }), left.signal)
  first.catch(() => undefined)
  left.abort()
  await expect(first).rejects.toMatchObject({ code: 'stream_cut' })
  const text = await textOf(await it.channel.exchange(request({ id: 6, method: 'asked' }), forever()))
  expect(JSON.parse(text)).toMatchObject({ result: { cancelled: 5 } })
})

it('ends a server that writes what is no message, and everything that waits for it', async () => {
  await using it = await open(server(`() => console.log('Listening…')`))
  await expect(it.channel.exchange(request({ id: 1, method: 'ping' }), forever())).rejects.toMatchObject({
    code: 'upstream_failed',
  })
  expect(it.channel.isOver).toBe(true)
})

it('hears of lists that changed', async () => {
  await using it = await open(
    server(`({ id }, say) => { say({ method: 'notifications/tools/list_changed' }); say({ id, result: {} }) }`),
  )
  let changes = 0
  it.channel.onListChanged = () => {
    changes++
  }
  await textOf(await it.channel.exchange(request({ id: 1, method: 'ping' }), forever()))
  expect(changes).toBe(1)
})

it('ends a server that writes a long message that is no answer, or when nothing waits', async () => {
  const long = `'{"jsonrpc":"2.0","method":"notifications/message","params":{"a":"' + 'x'.repeat(1 << 20) + '"}}'`
  await using early = await open(`console.log(${long}); setInterval(() => undefined, 1000)`)
  await expect.poll(() => early.channel.isOver).toBe(true)
  await using late = await open(server(`() => console.log(${long})`))
  await expect(late.channel.exchange(request({ id: 1, method: 'ping' }), forever())).rejects.toMatchObject({
    code: 'upstream_failed',
  })
  await using answering = await open(server(`({ id }, say) => say({ id, result: { a: 'x'.repeat(1 << 20) } })`))
  const answer = await answering.channel.exchange(request({ id: 1, method: 'ping' }), forever())
  expect((await textOf(answer)).length).toBeGreaterThan(1 << 20)
})
