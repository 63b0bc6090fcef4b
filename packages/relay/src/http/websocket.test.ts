import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { withResolvers } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { acceptOf } from '../gate/handshake.ts'
import { openSecrets } from '../secrets/secrets.ts'
import type { Executed } from '../upstream.ts'
import { httpUpstream } from './http-upstream.ts'
import { type Arrived, RawServer } from './raw-server.fixture.ts'
import { sendWebSocket } from './websocket.ts'

const key = 'dGhlIHNhbXBsZSBub25jZQ=='
const secret = 'sk-0123456789abcdefghij'

/** Opens every WebSocket that it is asked for. */
function opens({ head, socket }: Arrived): void {
  const [, given = ''] = /\r\nsec-websocket-key: (\S+)/i.exec(head) ?? []
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptOf(given)}\r\n\r\n`,
  )
}

async function opened(env: Record<string, string> = { KEY: secret }) {
  const api = await RawServer.start(opens)
  const upstream = httpUpstream({
    name: 'api',
    url: api.url,
    secrets: openSecrets({ env, freshMs: 0 }),
    inject: { authorization: 'Bearer ${secret:env:KEY}' },
  })
  const open = () =>
    upstream.execute({ signal: new AbortController().signal } as never, {
      ...{ method: 'GET', target: '/room', body: new Uint8Array() },
      headers: ['upgrade', 'websocket'],
    })
  return { api, upstream, open, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() }
}
const patiently = { timeout: 20_000 }

it('ends with its upstream, also on connections with an earlier secret', async () => {
  const env = { KEY: secret }
  await using at = await opened(env)
  const sockets = [await at.open()].map(() => at.api.arrived.at(-1)?.socket)
  env.KEY = 'sk-another-0123456789'
  await at.open()
  sockets.push(at.api.arrived.at(-1)?.socket)
  expect(at.api.connections).toBe(2)
  await at.upstream[Symbol.asyncDispose]()
  await expect.poll(() => sockets.map((socket) => socket?.destroyed), patiently).toEqual([true, true])
})

it('a message that ends as a secret begins does not wait for the next one', async () => {
  await using at = await opened()
  const { body } = await at.open()
  at.api.arrived.at(-1)?.socket.write('yes')
  const { value } = await body[Symbol.asyncIterator]().next()
  expect(String(value)).toBe('yes')
})

/** Both ends of a connection: ours, and the client's, which keeps its side open. */
async function pair() {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address() as { port: number }
  const client = connect({ port: address.port, host: '127.0.0.1', allowHalfOpen: true })
  const [ours] = (await once(server, 'connection')) as [Socket]
  client.on('error', () => undefined)
  ours.on('error', () => undefined)
  return {
    ...{ client, ours },
    [Symbol.dispose]() {
      client.destroy()
      ours.destroy()
      server.close()
    },
  }
}

async function* parts(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text)
}

it.each<[string, string, boolean]>([
  ['keeps its side open', 'bye', true],
  ['does not read', 'x'.repeat(16 * 1024 * 1024), false],
])('a client that %s after the end holds no connection (V18)', async (_, last, reads) => {
  using both = await pair()
  using api = await pair()
  const { client, ours } = both
  if (reads) client.resume()
  else client.pause()
  const executed: Executed = { status: 101, headers: [], body: parts(last), writable: api.ours }
  const over = withResolvers<void>()
  setTimeout(over.resolve, 50)
  await sendWebSocket(ours, { decisionId: 'dec_1', executed, over: over.promise }, key, 200)
  client.write('a frame that no one reads')
  await expect.poll(() => [ours.destroyed, api.ours.destroyed], patiently).toEqual([true, true])
})

it('a client that closes after the end is not cut', async () => {
  using both = await pair()
  using api = await pair()
  const { client, ours } = both
  let heard = ''
  client.on('data', (chunk) => {
    heard += chunk
  })
  client.on('end', () => client.end())
  const executed: Executed = { status: 101, headers: [], body: parts('bye'), writable: api.ours }
  client.write('a frame that the API did not wait for')
  await sendWebSocket(ours, { decisionId: 'dec_1', executed, over: new Promise(() => undefined) }, key, 60_000)
  await expect.poll(() => ours.destroyed, patiently).toBe(true)
  expect(heard.endsWith('bye')).toBe(true)
})
