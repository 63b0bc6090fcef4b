import { request } from 'node:http'
import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Loopback, listenLoopback } from './loopback.ts'
import { ask, SidecarWorld } from './sidecar.fixture.ts'
import { serveStdio } from './stdio.ts'

let world: SidecarWorld
beforeEach(async () => {
  world = await SidecarWorld.open({ grantId: 'grt_given0123456789abcdef' })
})
afterEach(() => world[Symbol.asyncDispose]())

type Anything = ReturnType<typeof JSON.parse>
const hello = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'client', version: '1' } }

describe('on standard input and output', () => {
  const open = () => {
    const input = new PassThrough()
    const stop = new AbortController()
    const lines: Anything[] = []
    const ended = serveStdio(world.sidecar, {
      input,
      write: (line) => {
        expect(line).not.toMatch(/[\r\n]/)
        lines.push(JSON.parse(line))
      },
      signal: stop.signal,
    })
    const send = (message: object) => input.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
    const answered = async (id: unknown) => {
      await expect.poll(() => lines.some((line) => line.id === id)).toBe(true)
      return lines.find((line) => line.id === id)
    }
    return { input, stop, lines, ended, send, answered }
  }

  it('speaks for a client that knows one message a line, with the session and the fields of HTTP', async () => {
    const { input, send, answered, ended } = open()
    send({ id: 1, method: 'initialize', params: hello })
    expect((await answered(1)).result.capabilities.tools).toEqual({ listChanged: true })
    send({ method: 'notifications/initialized' })
    send({ id: 'call', method: 'tools/call', params: { name: 'read', arguments: { 'a\n': 'ü' } } })
    expect((await answered('call')).result.content).toEqual([{ type: 'text', text: 'read done' }])
    const arrived = world.fake.at('/mcp/').at(-1)
    expect(arrived?.headers).toMatchObject({ 'mcp-protocol-version': '2025-11-25', 'mcp-session-id': 'behind-1' })
    input.end()
    await ended
  })

  it('says in header fields what a client of the newer revision says in the message', async () => {
    world.tools[0] = {
      name: 'read',
      inputSchema: { type: 'object', properties: { amount: { type: 'integer', 'x-mcp-header': 'Amount' } } },
    }
    const { send, answered, input, ended } = open()
    const _meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' }
    send({ id: 1, method: 'tools/list', params: { _meta } })
    await answered(1)
    send({ id: 2, method: 'tools/call', params: { name: 'read', arguments: { amount: 7 }, _meta } })
    await answered(2)
    expect(world.fake.at('/mcp/').at(-1)?.headers).toMatchObject({
      'mcp-method': 'tools/call',
      'mcp-name': 'read',
      'mcp-param-amount': '7',
    })
    input.end()
    await ended
  })

  it('tells a client that has listed when its tools change', async () => {
    const { send, answered, lines, input, ended } = open()
    send({ id: 1, method: 'tools/list' })
    await answered(1)
    send({ id: 2, method: 'tools/call', params: { name: 'bailiwick_request_access', arguments: ask } })
    await answered(2)
    world.status = 'approved'
    await expect.poll(() => lines.at(-1)).toEqual({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' })
    input.end()
    await ended
  })

  it('refuses lines that are no message, and goes on', async () => {
    const { input, send, answered, lines, ended } = open()
    for (const line of ['{', '[]', '\n', '{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}']) input.write(`${line}\n`)
    await expect.poll(() => lines.map(({ error }) => error?.code)).toEqual([-32700, -32700, -32700])
    send({ id: 3, method: 'tools/list' })
    expect((await answered(3)).result.tools).toHaveLength(5)
    input.end()
    await ended
  })

  it('carries what a server asks, and the answer, apart from requests of the client with the same id', async () => {
    const { input, send, answered, lines, ended } = open()
    send({ id: 1, method: 'initialize', params: { ...hello, capabilities: { elicitation: {} } } })
    await answered(1)
    world.before = [{ jsonrpc: '2.0', id: 2, method: 'elicitation/create', params: {} }]
    send({ id: 2, method: 'tools/call', params: { name: 'read' } })
    await answered(2)
    const asked = lines.find(({ method }) => method === 'elicitation/create')
    send({ id: asked.id, result: { action: 'accept' } })
    await expect.poll(() => world.answers.map(({ message }) => message.id)).toEqual([2])
    // Neither the answer nor one to nothing is answered.
    send({ id: asked.id, result: {} })
    send({ id: 'never', error: { code: 1, message: '' } })
    send({ id: 3, method: 'tools/list' })
    await answered(3)
    input.end()
    await ended
    expect(lines.map(({ id }) => id)).toEqual([1, asked.id, 2, 3])
  })

  it('ends a call whose stream ended before the answer: it cannot open the stream again', async () => {
    const { input, send, answered, ended } = open()
    world.before = [{ jsonrpc: '2.0', method: 'notifications/message', params: {} }]
    send({ id: 1, method: 'tools/call', params: { name: 'broken' } })
    expect((await answered(1)).error).toMatchObject({ code: -32603, data: { code: 'stream_cut' } })
    input.end()
    await ended
  })

  it('answers no call that its client cancelled', async () => {
    await world[Symbol.asyncDispose]()
    world = await SidecarWorld.open({ grantId: 'grt_given0123456789abcdef', holdSeconds: 55 })
    const { send, lines, stop, ended } = open()
    send({ id: 9, method: 'tools/call', params: { name: 'pay', arguments: {}, _meta: { progressToken: 't' } } })
    await expect.poll(() => lines.some(({ method }) => method === 'notifications/progress')).toBe(true)
    send({ method: 'notifications/cancelled', params: { requestId: 9 } })
    world.status = 'approved'
    await expect.poll(() => world.mayPay).toBe(true)
    stop.abort()
    await ended
    expect(lines.some(({ id }) => id === 9)).toBe(false)
    expect(world.effects).toEqual([])
  })
})

describe('on a port of this machine', () => {
  let loopback: Loopback
  beforeEach(async () => {
    loopback = await listenLoopback(world.sidecar, { random: (n) => crypto.getRandomValues(new Uint8Array(n)) })
  })
  afterEach(() => loopback[Symbol.asyncDispose]())

  const post = (url: string, headers: Record<string, string> = {}) =>
    new Promise<{ status: number; text: string }>((resolve, reject) => {
      const fields = { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers }
      const sent = request(url, { method: 'POST', headers: fields }, async (response) => {
        let text = ''
        for await (const chunk of response) text += chunk
        resolve({ status: response.statusCode ?? 0, text })
      })
      sent.on('error', reject)
      sent.end(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }))
    })

  it('serves who knows the address', async () => {
    const { status, text } = await post(loopback.url)
    expect([status, JSON.parse(text).result.tools.length]).toEqual([200, 5])
  })

  it.each<[string, (url: string) => string, Record<string, string>, number]>([
    ['a page of another site', (url) => url, { origin: 'https://evil.example' }, 403],
    ['a page of no site', (url) => url, { origin: 'null' }, 403],
    ['a name of another host', (url) => url, { host: 'evil.example' }, 403],
    ['a name that begins like this host', (url) => url, { host: 'localhost.evil.example' }, 403],
    ['another program, which knows only the port', (url) => `${new URL(url).origin}/mcp`, {}, 404],
    ['a guess of the secret', (url) => url.replace(/\/[^/]+\/mcp$/, `/${'A'.repeat(32)}/mcp`), {}, 404],
    ['a longer path', (url) => `${url}/x`, {}, 404],
    ['a query', (url) => `${url}?x=1`, {}, 404],
  ])('refuses %s', async (_, to, headers, status) => {
    expect((await post(to(loopback.url), headers)).status).toBe(status)
    expect(world.fake.at('/mcp/')).toEqual([])
  })

  it('passes on no credential and no proof of its client', async () => {
    await post(loopback.url, { authorization: 'Bearer stolen', dpop: 'x', cookie: 'a=b', 'bailiwick-call-id': 'mine' })
    const headers = world.fake.at('/mcp/')[0]?.headers ?? {}
    expect(headers.authorization).toBe('DPoP token-1')
    expect(headers.cookie).toBeUndefined()
    expect(headers['bailiwick-call-id']).not.toBe('mine')
  })
})
