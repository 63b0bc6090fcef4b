import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { safePost } from '@bailiwick/host'
import { isPublicAddress } from '@bailiwick/kit'
import { sampleAgentId, sampleAuthority } from '@bailiwick/standalone/sample'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { answered, eventually, pause, Scene } from './scene.ts'

/** An internal server, which no agent may reach through approval. It counts its visitors. */
let inside: Server
let visits = 0
let port: number
let scene: Scene
beforeAll(async () => {
  inside = createServer((socket) => {
    visits++
    socket.destroy()
  })
  await once(inside.listen(0, '127.0.0.1'), 'listening')
  port = (inside.address() as AddressInfo).port
  scene = await Scene.open()
  await register([`https://localhost:${port}/`, 'https://hooks.example/cb', 'https://hooks.example:8443/cb/'])
})
afterAll(async () => {
  inside.close()
  await scene[Symbol.asyncDispose]()
})

/** Sets an agent's callbacks as careless people would: the registration says where the agent may be notified. */
async function register(callbacks: string[]) {
  const id = sampleAgentId('reconciler')
  const value = { ...scene.ledger.registry.get('agent', id), callbacks }
  const { request_id } = (await scene.propose('agent', id, value)).body
  await scene.approver.approve(request_id)
  await eventually(
    'the registration',
    () => scene.ledger.registry.get('agent', id)?.callbacks?.length === callbacks.length,
  )
}

let length = 600
async function ask(endpoint: string, agent = scene.agent()): Promise<string> {
  const signed = agent.signRequest({
    ...{ authority: sampleAuthority, mode: 'window', expiresInSeconds: ++length },
    callback: { endpoint },
  } as never)
  return answered(() => agent.request(signed)).then(
    async ({ requestId }) => {
      await answered(() => agent.cancel(requestId))
      return requestId
    },
    (error: { code?: string }) => String(error.code),
  )
}

it('a name that resolves to an internal address is not called, although it is registered', async () => {
  const requestId = await ask(`https://localhost:${port}/hook`)
  expect(requestId).toMatch(/^req_/)
  const metrics = async () => await (await fetch(`${scene.url}/metrics`)).text()
  await eventually('it is forbidden', async () =>
    /callbacks_total\{result="forbidden"[^}]*\} 1\n/.test(await metrics()),
  )
  await pause(200)
  expect(visits).toBe(0)
})

it.each([
  ['another scheme', 'http://hooks.example/cb'],
  ['another host', 'https://elsewhere.example/cb'],
  ['a host that begins alike', 'https://hooks.example.evil.example/cb'],
  ['a host that ends alike', 'https://evilhooks.example/cb'],
  ['another port', 'https://hooks.example:444/cb'],
  ['the port of another prefix', 'https://hooks.example:8443/'],
  ['a path beside', 'https://hooks.example/cbx'],
  ['a path above', 'https://hooks.example/'],
  ['a path that climbs', 'https://hooks.example/cb/../admin'],
  ['a path that climbs with encoded dots', 'https://hooks.example/cb/%2e%2e/admin'],
  ['a path that climbs with an encoded slash', 'https://hooks.example/cb/..%2fadmin'],
  ['a path that climbs with doubly encoded dots', 'https://hooks.example/cb/%252e%252e/admin'],
  ['a path that climbs with a backslash', 'https://hooks.example/cb\\..\\admin'],
  ['credentials', 'https://user:pass@hooks.example/cb'],
  ['a name before the at sign', 'https://hooks.example@evil.example/cb'],
  ['a fragment', 'https://hooks.example/cb#@evil.example/'],
  ['loopback', 'https://127.0.0.1/cb'],
  ['loopback as one number', 'https://2130706433/cb'],
  ['loopback in IPv6', 'https://[::1]/cb'],
  ['loopback mapped into IPv6', 'https://[::ffff:127.0.0.1]/cb'],
  ['the metadata service of a cloud', 'https://169.254.169.254/latest/meta-data/'],
])('a callback to %s is refused', async (_, endpoint) => {
  expect(await ask(endpoint)).toMatch(
    /^(callback_forbidden|request_malformed|token_malformed|submission_contradicted)$/,
  )
})

it('an agent that registered no callback gets none', async () => {
  expect(await ask('https://hooks.example/cb', scene.agent('forecaster'))).toBe('callback_forbidden')
})

it('an address below a registered prefix is accepted', async () => {
  for (const endpoint of [
    'https://hooks.example/cb',
    'https://hooks.example/cb/a?b=c',
    'https://hooks.example:8443/cb/x',
  ])
    expect(await ask(endpoint)).toMatch(/^req_/)
})

it('a name server that changes its mind between check and connection leads nowhere else', async () => {
  const dialled: string[] = []
  const answers = ['93.184.215.14', '127.0.0.1', '10.0.0.1']
  const post = safePost({
    lookup: async () => [{ address: answers.shift() ?? '127.0.0.1' }],
    dial: (address) => {
      dialled.push(address)
      throw new Error('no network here')
    },
  })
  const send = { url: 'https://hooks.example/cb', headers: {}, body: '{}' }
  expect(await post(send)).toMatchObject({ outcome: 'failed' })
  expect(await post(send)).toEqual({ outcome: 'forbidden', why: 'address' })
  expect(await post(send)).toEqual({ outcome: 'forbidden', why: 'address' })
  expect(dialled).toEqual(['93.184.215.14'])
  expect(dialled.every(isPublicAddress)).toBe(true)
})

it('the audit finds nothing', async () => {
  expect((await scene.audited()).findings).toEqual([])
})
