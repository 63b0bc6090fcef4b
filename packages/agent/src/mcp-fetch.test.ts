import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Agent } from './agent.ts'
import { mcpFetch } from './mcp-fetch.ts'

/** The gateway's metadata. `gateway.yaml` calls the server `notes`, and the registry calls it `notes-eu`. */
const gateway = createServer(({ url }, response) =>
  response.end(JSON.stringify({ resource: url, bailiwick_tool_server: 'notes-eu' })),
)
let server: string
beforeAll(async () => {
  await new Promise<void>((resolve) => gateway.listen(0, '127.0.0.1', resolve))
  server = `http://127.0.0.1:${(gateway.address() as AddressInfo).port}/mcp/notes`
})
afterAll(() => void gateway.close())

const grant = { grantId: 'grt_0123456789' }

type Sent = Parameters<Agent['fetch']>

/** An agent that remembers what it sends. */
function remembering() {
  const sent: Sent[] = []
  const agent = {
    async fetch(...call: Sent) {
      sent.push(call)
      return new Response('{}')
    },
  } as Partial<Agent> as Agent
  return { sent, fetch: mcpFetch(agent, grant, server) }
}

const message = (method: string, params: object) => JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
const post = (body: string) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', 'mcp-protocol-version': '2025-11-25' },
  body,
})

it('signs the call of a tool, with the arguments of the very bytes that it sends', async () => {
  const { sent, fetch } = remembering()
  const body = message('tools/call', { name: 'read', arguments: { note: 'a' } })
  await fetch(server, post(body))
  const [[url, init, call] = []] = sent
  expect(String(url)).toBe(server)
  expect(Buffer.from(init?.body as Uint8Array).toString()).toBe(body)
  expect(call).toEqual({
    grant,
    action: 'tools/call',
    resource: { type: 'tool', id: 'notes-eu/read' },
    properties: { note: 'a' },
  })
})

it('takes a Request too, as some transports make one', async () => {
  const { sent, fetch } = remembering()
  await fetch(new Request(server, post(message('tools/call', { name: 'read' }))))
  expect(sent[0]?.[2]).toMatchObject({ resource: { id: 'notes-eu/read' }, properties: {} })
})

it('signs no action where there is none', async () => {
  const { sent, fetch } = remembering()
  await fetch(server, post(message('tools/list', {})))
  expect(sent[0]?.[2]).toEqual({ grant })
})

it.each([
  ['another origin', 'https://thief.example/mcp/notes'],
  ['another server', '/mcp/mail'],
])('gives the credential to no other address: %s', async (_, url) => {
  const { sent, fetch } = remembering()
  await expect(fetch(new URL(url, server), post(message('tools/list', {})))).rejects.toMatchObject({
    code: 'token_audience_wrong',
  })
  expect(sent).toEqual([])
})

it('is only for a server at the gateway', () => {
  expect(() => mcpFetch({} as Agent, grant, 'https://gateway.example/v1')).toThrow('config_invalid')
})
