import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { GatewayWorld, type McpClient } from './gateway-world.ts'

/* What a server asks of its client, and answers that come on another stream than their call's. */

let world: GatewayWorld
let grant: { requestId: string; grantId: string }
beforeAll(async () => {
  world = await GatewayWorld.open()
  grant = await world.granted()
})
afterAll(() => world?.[Symbol.asyncDispose]())
afterEach(() => {
  world.http.instead = undefined
})

const session = async (capabilities: Record<string, object>): Promise<McpClient> => {
  const client = await world.client('billing', 'legacy', grant)
  await client.begin(capabilities)
  return client
}
const asks = (id: string, method: string) => ({ jsonrpc: '2.0', id, method, params: { message: 'Which?' } })
const answer = (id: string) => ({ jsonrpc: '2.0', id, result: { action: 'accept', content: { which: 'this' } } })
const responsesOf = (id: string) => world.http.state.responses.filter((each) => each.id === id)
const denied = { error: { code: -32601 } }

it('passes what the client declared and the grant allows, and decides the answer', async () => {
  const client = await session({ elicitation: {}, sampling: {} })
  world.http.state.before.push(asks('e1', 'elicitation/create'), asks('s1', 'sampling/createMessage'))
  const { text, message } = await client.call('read')
  expect(message?.result).toBeDefined()
  expect(text).toContain('{"jsonrpc":"2.0","id":"e1","method":"elicitation/create","params":{"message":"Which?"}}')
  // Declared, and not granted.
  expect(text).not.toContain('sampling')
  await expect.poll(() => responsesOf('s1')).toMatchObject([denied])
  const { status, headers } = await client.send(answer('e1'))
  expect(status).toBe(202)
  expect(headers.get('bailiwick-decision-id')).toMatch(/^dec_/)
  expect(responsesOf('e1')).toEqual([answer('e1')])
})

it('takes one answer to a request, and none to what was not asked or belongs to another session (V10)', async () => {
  const [client, other] = [await session({ elicitation: {} }), await session({ elicitation: {} })]
  world.http.state.before.push(asks('e2', 'elicitation/create'))
  await client.call('read')
  expect((await other.send(answer('e2'))).status).toBe(400)
  expect((await client.send(answer('never'))).status).toBe(400)
  expect(responsesOf('e2')).toEqual([])
  expect((await client.send(answer('e2'))).status).toBe(202)
  expect((await client.send(answer('e2'))).status).toBe(400)
  expect(responsesOf('e2')).toHaveLength(1)
})

it('passes nothing that the client did not declare', async () => {
  const client = await session({})
  world.http.state.before.push(asks('e3', 'elicitation/create'))
  expect((await client.call('read')).text).not.toContain('elicitation')
  await expect.poll(() => responsesOf('e3')).toMatchObject([denied])
})

it('tells the server that its client does not answer, if the answer is denied', async () => {
  const own = await world.granted()
  const client = await world.client('billing', 'legacy', own)
  await client.begin({ elicitation: {} })
  world.http.state.before.push(asks('e4', 'elicitation/create'))
  expect((await client.call('read')).text).toContain('elicitation/create')
  await world.approver.withdraw(own.requestId)
  expect([401, 403, 404]).toContain((await client.send(answer('e4'))).status)
  expect(responsesOf('e4').filter((each) => 'result' in each)).toEqual([])
})

/** Opens the stream of a session where another stream broke off. */
function resume({ options: { agent, url }, session }: McpClient, own: typeof grant): Promise<Response> {
  const headers = {
    accept: 'text/event-stream',
    'mcp-session-id': session ?? '',
    'mcp-protocol-version': '2025-11-25',
    'last-event-id': 'e-1',
  }
  return agent.fetch(url, { method: 'GET', headers }, { grant: own, patienceMs: 0 })
}

it('delivers the answer of a call whose stream broke off on the stream that resumes it, once', async () => {
  const client = await session({})
  let id: unknown
  world.http.instead = ({ method, body }, response) => {
    const message = body === '' ? {} : JSON.parse(body)
    if (method === 'GET') {
      const say = (value: object) =>
        response.write(`id: e-2\ndata: ${JSON.stringify({ jsonrpc: '2.0', ...value })}\n\n`)
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      say({ id: 4711, result: { content: [{ type: 'text', text: 'of another' }] } })
      say({ id: id as string, result: { content: [{ type: 'text', text: 'late' }] } })
      say({ id: id as string, result: { content: [{ type: 'text', text: 'again' }] } })
      response.end()
      return true
    }
    if (message.method !== 'tools/call') return false
    id = message.id
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end('id: e-1\nretry: 10\ndata: \n\n')
    return true
  }
  const broken = await client.call('read')
  expect([broken.message, broken.text]).toEqual([undefined, expect.stringContaining('id: e-1')])
  const resumed = await resume(client, grant)
  expect(resumed.status).toBe(200)
  const text = await resumed.text()
  expect(text).toContain('late')
  expect(text).not.toMatch(/of another|again/)
})

it('cuts a resumed stream when its task is withdrawn, and delivers no late answer (V7)', async () => {
  const own = await world.granted()
  const client = await world.client('billing', 'legacy', own)
  await client.begin()
  let id: unknown
  let say: (value: object) => void = () => undefined
  world.http.instead = ({ method, body }, response) => {
    const message = body === '' ? {} : JSON.parse(body)
    if (method === 'GET') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('id: e-2\ndata: \n\n')
      say = (value) => response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', ...value })}\n\n`)
      return true
    }
    if (message.method !== 'tools/call') return false
    id = message.id
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end('id: e-1\nretry: 10\ndata: \n\n')
    return true
  }
  await client.call('read')
  const reader = (await resume(client, own)).body?.getReader()
  expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toContain('id: e-2')
  const next = reader?.read()
  next?.catch(() => undefined)
  await world.approver.withdraw(own.requestId)
  await expect(next).rejects.toThrow()
  say({ id, result: { content: [{ type: 'text', text: 'late' }] } })
  expect((await resume(client, own)).status).not.toBe(200)
})
