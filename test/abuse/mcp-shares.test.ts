import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { GatewayWorld } from '../e2e/gateway-world.ts'
import { projectAdapters } from './scene.ts'

/* One agent tries to take everything that the gateway has, over several grants and servers. */

let world: GatewayWorld
beforeAll(async () => {
  world = await GatewayWorld.open({ adapters: projectAdapters })
  world.rewrite((mcp) => mcp, { each_agent: { streams: 3, processes: 2 } })
  expect(world.gateway.reload()).toBeUndefined()
})
afterAll(() => world?.[Symbol.asyncDispose]())

const processes = () =>
  readFileSync(join(world.folder, 'stdio.log'), 'utf8')
    .split('\n')
    .filter((line) => line.includes('"pid"')).length

it('has no more streams at once than one agent may have, and again some when they end (V18)', async () => {
  const clients = [await world.client('billing', 'modern'), await world.client('billing', 'modern')]
  const [first, second] = clients
  if (first === undefined || second === undefined) throw new Error('no clients')
  const streams = [await first.flow(), await first.flow(), await second.flow()]
  for (const stream of streams) expect(stream.headers.get('content-type')).toBe('text/event-stream')
  const before = world.http.state.effects.length
  for (const client of clients) {
    for (const method of ['tools/call', 'tools/list']) {
      // Without another try of the client.
      const refused = await client.open(client.message(method, { name: 'read', arguments: {} }))
      expect([refused.status, await refused.json(), refused.headers.get('retry-after')]).toMatchObject([
        ...[429, { error: { data: { code: 'queue_full' } } }],
        '1',
      ])
    }
  }
  expect(world.http.state.effects.length).toBe(before)
  await streams[0]?.body?.cancel()
  await expect.poll(async () => (await second.call('read', {})).status).toBe(200)
  for (const stream of streams.slice(1)) await stream.body?.cancel()
})

it('has no more processes at once than one agent may have, under any of its grants (V18)', async () => {
  const sessions = [await world.client('local', 'legacy'), await world.client('local', 'legacy')]
  for (const each of sessions) expect((await each.begin()).status).toBe(200)
  const before = processes()
  const third = await world.client('local', 'legacy')
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } }
  const denied = await third.open(third.message('initialize', params))
  expect([denied.status, await denied.json()]).toMatchObject([429, { error: { data: { code: 'queue_full' } } }])
  expect(processes()).toBe(before)
  const [ending] = sessions
  const { agent, grantId, url } = third.options
  const ended = await agent.fetch(
    url,
    { method: 'DELETE', headers: { 'mcp-session-id': ending?.session ?? '' } },
    { grant: { grantId: ending?.options.grantId ?? grantId }, patienceMs: 0 },
  )
  expect(ended.status).toBe(200)
  expect((await third.begin()).message?.result).toBeDefined()
})
