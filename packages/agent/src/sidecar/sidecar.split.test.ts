import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ask, namesIn, SidecarWorld, textIn, tool } from './sidecar.fixture.ts'
import type { StandingGrant } from './standing-grant.ts'

// Rules split a request: each tool has a grant of its own.

const hello = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'client', version: '1' } }
const split = { read: 'grt_aaaaaaaaaaaaaaaaaaaa', write: 'grt_bbbbbbbbbbbbbbbbbbbb' }
const two = { ...ask, permissions: [{ tool: 'read' }, { tool: 'write' }] }

let world: SidecarWorld
let session: string | undefined
beforeEach(async () => {
  world = await SidecarWorld.open()
  world.split = split
  world.tools = [tool('read'), tool('write')]
  const begun = await world.send({ id: 1, method: 'initialize', params: hello })
  session = begun.session
  await world.call('bailiwick_request_access', two)
  world.status = 'approved'
  await expect.poll(async () => textIn(await world.call('bailiwick_access_status'))).toContain('Approved')
})
afterEach(() => world[Symbol.asyncDispose]())

let calls = 10
const call = (name: string) =>
  world.send({ id: ++calls, method: 'tools/call', params: { name, arguments: {} } }, { session })
const sent = (method: string) => world.fake.at('/mcp/').filter(({ text }) => text.includes(`"${method}"`))
const sessionsOf = (method: string) => sent(method).map(({ headers }) => headers['mcp-session-id'])

it('has one session for each grant, however often the tools change', async () => {
  for (const name of ['read', 'write', 'read', 'write', 'read']) expect(textIn(await call(name))).toBe(`${name} done`)
  expect([...world.begun.values()].sort()).toEqual(Object.values(split).sort())
})

it('begins a session once for calls at the same moment', async () => {
  await Promise.all([call('read'), call('read'), call('write'), call('write')])
  expect(world.effects).toHaveLength(4)
  expect(world.begun.size).toBe(2)
})

it('shows the tools of all grants, each once', async () => {
  const listed = await world.send({ id: 2, method: 'tools/list' }, { session })
  expect(namesIn(listed).filter((name) => !name.startsWith('bailiwick_'))).toEqual(['read', 'write'])
})

it('passes what withdraws a call on to the session of the call, and ends all sessions', async () => {
  await call('write')
  await call('read')
  const cancelled = { method: 'notifications/cancelled', params: { requestId: 7 } }
  expect((await world.send(cancelled, { session })).status).toBe(202)
  expect(sessionsOf('notifications/cancelled').sort()).toEqual([...world.begun.keys()].sort())
  const headers = ['mcp-session-id', session ?? '']
  const end = { method: 'DELETE', headers, body: Buffer.alloc(0) }
  expect((await world.sidecar.exchange(end, new AbortController().signal)).status).toBe(200)
  const ended = world.fake.at('/mcp/').filter(({ method }) => method === 'DELETE')
  expect(ended.map(({ headers }) => headers['mcp-session-id']).sort()).toEqual([...world.begun.keys()].sort())
})

it('goes on with the other grants when one is over, and gives them back at its end', async () => {
  await call('read')
  world.ended.add(split.read)
  expect(textIn(await call('read'))).toContain('grant_revoked')
  expect(textIn(await call('write'))).toBe('write done')
  await world.sidecar[Symbol.asyncDispose]()
  const completed = world.fake.at('/oauth/grants/').map(({ path }) => path)
  expect(completed).toEqual([expect.stringContaining(split.write)])
})

it('keeps the binding token of every denial', async () => {
  world.deniesPrompts = 'action_not_granted'
  const denied = await world.send({ id: 3, method: 'prompts/get', params: { name: 'p' } }, { session })
  expect(denied.message.error.data.code).toBe('action_not_granted')
  expect(denied.text).not.toMatch(/binding|elsewhere/)
})

describe('several grants that stand', () => {
  const authority = {
    ...{ type: 'bailiwick_task', task: 'read', budget: { calls: 9 }, max_depth: 0, max_children: 0 },
    permissions: [{ actions: ['tools/call'], resource: { type: 'tool', id: 'billing/read' } }],
  }
  const standing = Object.values(split).map((grantId) => ({ grantId, authority }) as StandingGrant)
  beforeEach(async () => {
    await world[Symbol.asyncDispose]()
    world = await SidecarWorld.open({ standing })
    world.split = split
    world.tools = [tool('read'), tool('write')]
    session = (await world.send({ id: 1, method: 'initialize', params: hello })).session
  })
  const grantsOf = (method: string) =>
    sent(method).map(({ headers }) => /grt_\w+/.exec(headers.authorization ?? '')?.[0])

  it('are tried one after the other, until one is not denied for its own sake', async () => {
    // The gateway finds the tool in the second grant only.
    world.split = { read: split.write, write: split.read }
    expect(textIn(await call('read'))).toBe('read done')
    expect(grantsOf('tools/call')).toEqual([split.read, split.write])
    expect(textIn(await call('write'))).toBe('write done')
    expect(world.effects.map(({ name }) => name)).toEqual(['read', 'write'])
  })

  it('are denied together, and once', async () => {
    world.split = { read: 'grt_cccccccccccccccccccc' }
    expect(textIn(await call('read'))).toContain('action_not_granted')
    expect(grantsOf('tools/call')).toEqual(Object.values(split))
    expect(world.effects).toEqual([])
  })

  it('end together, also if one was over already', async () => {
    world.fake.completion = ({ path }) =>
      path.includes(split.read) ? { status: 409, body: { code: 'grant_not_active' } } : { body: {} }
    expect(textIn(await call('bailiwick_complete_task'))).toContain('ended')
    expect(world.fake.at('/oauth/grants/')).toHaveLength(2)
    expect(textIn(await call('bailiwick_complete_task'))).toContain('ended before')
  })
})
