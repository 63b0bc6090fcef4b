import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { GatewayWorld, type McpClient } from './gateway-world.ts'
import { eventually } from './world.ts'

let world: GatewayWorld
let grant: { requestId: string; grantId: string }
beforeAll(async () => {
  world = await GatewayWorld.open()
  grant = await world.granted()
})
afterAll(() => world?.[Symbol.asyncDispose]())
beforeEach(() => {
  world.rewrite((mcp) => mcp)
  expect(world.gateway.reload()).toBeUndefined()
})

const began = async (server: string): Promise<McpClient> => {
  const client = await world.client(server, 'legacy', grant)
  await client.begin()
  return client
}
const metadataOf = async (server: string) =>
  (await fetch(`${world.url}/.well-known/oauth-protected-resource/mcp/${server}`)).status

/** The processes of the server on standard input that were started so far. */
const started = () =>
  readFileSync(join(world.folder, 'stdio.log'), 'utf8')
    .trim()
    .split('\n')
    .flatMap((line): number[] => {
      const { pid } = JSON.parse(line)
      return pid === undefined ? [] : [pid]
    })

/** A stream that flows. */
async function flowing(client: McpClient) {
  const reader = (await client.flow()).body?.getReader()
  const more = async () => (await reader?.read())?.done === false
  expect(await more()).toBe(true)
  return { more, leave: () => reader?.cancel() }
}

it('adds a server when the file changes, and lets those that stay go on: streams, sessions and processes', async () => {
  const [billing, local] = [await began('billing'), await began('local')]
  expect((await local.call('read')).message?.result).toBeDefined()
  const processes = started()
  const stream = await flowing(billing)
  const before = world.http.open
  expect(await metadataOf('more')).toBe(404)
  // Without a signal: the gateway looks at the file.
  world.rewrite((mcp) => ({ ...mcp, more: { ...mcp.billing, server: 'billing' } }))
  await eventually(async () => (await metadataOf('more')) === 200 || undefined)
  expect(await stream.more()).toBe(true)
  expect(world.http.open).toBe(before)
  expect((await billing.call('read')).message?.result).toBeDefined()
  expect((await local.call('read')).message?.result).toBeDefined()
  expect(started()).toEqual(processes)
  await stream.leave()
})

it('ends a server that is in the file no more, with its processes and streams, and no other', async () => {
  const [billing, local] = [await began('billing'), await began('local')]
  const [pid] = started().slice(-1)
  const kept = await flowing(billing)
  const cut = await flowing(local)
  world.rewrite(({ billing }) => ({ billing: billing ?? {} }))
  expect(world.gateway.reload()).toBeUndefined()
  await expect(
    (async () => {
      while (await cut.more());
    })(),
  ).rejects.toThrow()
  await eventually(() => !lives(pid) || undefined)
  expect(await metadataOf('local')).toBe(404)
  expect((await local.call('read')).status).toBe(404)
  expect(await kept.more()).toBe(true)
  await kept.leave()
})

it('reaches a server in the new way at once, while the answers that it began in the old way flow on', async () => {
  const billing = await began('billing')
  const stream = await flowing(billing)
  world.rewrite((mcp) => {
    const inject = { headers: { authorization: `Bearer \${secret:env:UPSTREAM_SECRET}`, 'x-way': 'new' } }
    return { ...mcp, billing: { ...mcp.billing, inject } }
  })
  expect(world.gateway.reload()).toBeUndefined()
  // Its session was with the server as it was reached before.
  expect((await billing.call('read')).status).toBe(404)
  const again = await began('billing')
  const before = world.http.arrived.length
  expect((await again.call('read')).message?.result).toBeDefined()
  const fields = world.http.arrived.slice(before).map(({ rawHeaders }) => rawHeaders.join())
  expect(fields.filter((field) => !field.includes('x-way,new'))).toEqual([])
  expect(await stream.more()).toBe(true)
  await stream.leave()
})

it.each<[string, Record<string, unknown>]>([
  ['has a misspelt member', { pinn: true }],
  ['names another point, which is read at the start alone', { point: 'other' }],
])('keeps the last file when a new one %s', async (_, more) => {
  const billing = await began('billing')
  const stream = await flowing(billing)
  world.rewrite(({ billing }) => ({ billing: billing ?? {} }), more)
  expect(world.gateway.reload()).toBe('config_invalid')
  // All of it: also the part that could be used.
  expect(await metadataOf('local')).toBe(200)
  expect((await billing.call('read')).message?.result).toBeDefined()
  expect(await stream.more()).toBe(true)
  await stream.leave()
})

it('tells denials in the new form without a new session', async () => {
  const billing = await began('billing')
  expect((await billing.call('delete')).message?.error?.code).toBe(-32001)
  world.rewrite((mcp) => ({ ...mcp, billing: { ...mcp.billing, denials: 'result' } }))
  expect(world.gateway.reload()).toBeUndefined()
  expect((await billing.call('delete')).message?.result).toMatchObject({ isError: true })
})

it('reads its file again upon SIGHUP, and lives', async () => {
  await using replica = await world.replica()
  const lines = () => replica.output.split('the gateway file was read again').length - 1
  for (const count of [1, 2]) {
    replica.signal('SIGHUP')
    await eventually(() => lines() === count || undefined)
  }
  expect([replica.running, await replica.stop()]).toEqual([true, 0])
})

function lives(pid = 0): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
  } catch {
    return false
  }
}
