import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GatewayWorld, gatewayAuthority, type McpClient } from '../e2e/gateway-world.ts'
import { eventually } from '../e2e/world.ts'
import { projectAdapters } from './scene.ts'

/* An agent whose grant is for one server of the gateway reaches for another one. */

let world: GatewayWorld
beforeAll(async () => {
  world = await GatewayWorld.open({ adapters: projectAdapters })
})
afterAll(() => world?.[Symbol.asyncDispose]())

/** What each server has seen so far: processes that were started, and requests. */
const seen = () => ({ local: processes().length, billing: world.http.arrived.length })

function processes(): string[] {
  const log = join(world.folder, 'stdio.log')
  const lines = existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []
  return lines.filter((line) => line.includes('"pid"'))
}

const start = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } }
const begins: [era: 'legacy' | 'modern', method: string, ask: (client: McpClient) => ReturnType<McpClient['ask']>][] = [
  ['legacy', 'initialize', (client) => client.ask('initialize', start)],
  ['modern', 'server/discover', (client) => client.ask('server/discover')],
  ['modern', 'tools/list', (client) => client.ask('tools/list')],
  ['modern', 'resources/list', (client) => client.ask('resources/list')],
  ['modern', 'prompts/list', (client) => client.ask('prompts/list')],
  ['modern', 'tools/call', (client) => client.call('read', { invoice: 'x' })],
  ['modern', 'resources/read', (client) => client.ask('resources/read', { uri: 'file:///srv/a.txt' })],
]

describe.each([
  ['local', 'billing'],
  ['billing', 'local'],
] as const)('the server %s, which a grant for %s does not name', (server, granted) => {
  let grant: { grantId: string }
  beforeAll(async () => {
    grant = await world.granted(gatewayAuthority([granted]))
  })

  it.each(begins)('begins nothing for it (%s, %s)', async (era, _, ask) => {
    const before = seen()[server]
    const { message, text, headers } = await ask(await world.client(server, era, grant))
    expect(message?.error).toMatchObject({
      code: -32001,
      data: { code: 'action_not_granted', evaluation_id: expect.stringMatching(/^dec_/) },
    })
    expect(text).not.toMatch(/Use the tools|fixture|Reads an invoice/)
    expect(headers.get('mcp-session-id')).toBeNull()
    expect(seen()[server]).toBe(before)
  })

  it('leaves evidence of the attempt, and none of an ALLOW', async () => {
    const client = await world.client(server, 'modern', grant)
    const events = await eventually(async () => {
      // Asked again: beyond an agent's share of a second, its denials are only counted.
      const { message } = await client.ask('server/discover')
      const decision = message?.error?.data.evaluation_id
      const found: { type: string; data: object }[] = []
      await using follower = await world.system.bus.follow(['decisions.v1'], 'start', async (batch) => {
        for (const { bytes } of batch) {
          const { subject, ...event } = JSON.parse(Buffer.from(bytes).toString())
          if (subject === decision) found.push(event)
        }
      })
      await follower.caughtUp
      return found.length > 0 ? found : undefined
    })
    expect(events).toMatchObject([{ type: 'decision.denied', data: { reason: 'action_not_granted' } }])
  })
})

it('serves an agent whose grant names one resource of the server and no tool', async () => {
  const permission = { actions: ['tools/call'], resource: { type: 'tool', id: 'local/resources/read' } }
  const grant = await world.granted({ ...gatewayAuthority([]), permissions: [permission] })
  const client = await world.client('local', 'modern', grant)
  expect((await client.ask('server/discover')).message?.result.instructions).toBe('Use the tools.')
  expect((await client.ask('tools/list')).message?.result.tools).toEqual([])
  expect((await client.ask('resources/list')).message?.result.resources).toHaveLength(1)
})
