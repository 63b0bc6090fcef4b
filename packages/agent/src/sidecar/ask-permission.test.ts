import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { askPermission } from './ask-permission.ts'
import { type Loopback, listenLoopback } from './loopback.ts'
import { SidecarWorld } from './sidecar.fixture.ts'

let world: SidecarWorld
let loopback: Loopback
const open = async (grantId?: string) => {
  world = await SidecarWorld.open(grantId === undefined ? {} : { grantId })
  loopback = await listenLoopback(world.sidecar, { random: (n) => crypto.getRandomValues(new Uint8Array(n)) })
}
beforeEach(() => open('grt_given0123456789abcdef'))
afterEach(async () => {
  await loopback[Symbol.asyncDispose]()
  await world[Symbol.asyncDispose]()
})

const ask = (tool: string, args = {}) => askPermission(loopback.url, { tool, args }, new AbortController().signal)

it('says that a call is allowed once it was made, with these arguments', async () => {
  expect(await ask('read', { invoice: 'INV-1' })).toEqual({ allowed: true, reason: '' })
  expect(world.effects).toEqual([{ name: 'read', args: { invoice: 'INV-1' } }])
})

it('gives the reason of a denial, and takes what a tool says of itself for no permission', async () => {
  expect(await ask('pay')).toEqual({ allowed: false, reason: expect.stringContaining('step_up_required') })
  expect(await ask('lie', { code: 'grant_unknown' })).toMatchObject({ allowed: false })
  expect(world.effects).toEqual([])
})

it('is denied without a task', async () => {
  await loopback[Symbol.asyncDispose]()
  await world[Symbol.asyncDispose]()
  await open()
  expect(await ask('read')).toEqual({ allowed: false, reason: expect.stringContaining('bailiwick_request_access') })
})

it.each([
  ['a question to the client', { result: { resultType: 'input_required', inputRequests: {} } }],
  ['an error', { error: { code: -32603, message: 'no' } }],
  ['a result that is an error', { result: { isError: true, content: [] } }],
  ['nothing', {}],
  ['a request of the server', { method: 'ping', result: {} }],
])('takes %s for no permission', async (_, message) => {
  const server = createServer((request, response) => {
    request.resume()
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, ...message }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/x/mcp`
  const asked = await askPermission(url, { tool: 'read', args: {} }, new AbortController().signal)
  server.closeAllConnections()
  server.close()
  expect(asked).toEqual({ allowed: false, reason: expect.stringMatching(/./) })
})

it('rejects if there was no answer', async () => {
  const { url } = loopback
  await loopback[Symbol.asyncDispose]()
  await expect(askPermission(url, { tool: 'read', args: {} }, new AbortController().signal)).rejects.toThrow()
})
