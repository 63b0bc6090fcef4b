import { once } from 'node:events'
import { connect } from 'node:net'
import { after } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { aServer, type Fixture, listening, speak } from './http.fixture.ts'
import type { HttpServerOptions } from './http.ts'
import { upgradable } from './http-upgrades.ts'

const opening = 'GET /room HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

/** A server whose route `/room` refuses, unless `?open` has it take the connection and greet. `/room?never` never answers. */
async function aRoom(options: Partial<HttpServerOptions> = {}): Promise<Fixture> {
  const fixture = await aServer(options)
  const { server } = fixture
  const leaving = upgradable(server, ({ url, headers }) => headers.upgrade === 'websocket' && url !== '/plain')
  server.get('/room', async (request, reply) => {
    const { search } = new URL(request.url, 'http://localhost')
    if (search === '?never') return new Promise(() => undefined)
    const connection = search === '?open' ? leaving(request.raw) : undefined
    await after(50) // as a decision does
    if (connection === undefined) return reply.code(403).send({ no: true })
    reply.hijack()
    connection.take()
    connection.socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\nhello', () => connection.socket.destroy())
    return reply
  })
  return fixture
}
const held = ({ server }: Fixture) =>
  new Promise<number>((resolve) => server.server.getConnections((_, count) => resolve(count)))
const patiently = { timeout: 20_000 }

it('a client that does not wait for the answer before loses its connection, and no other client loses anything (V18)', async () => {
  await using fixture = await aRoom()
  const port = await listening(fixture)
  await speak(port, `GET /items/1 HTTP/1.1\r\nHost: localhost\r\n\r\n${opening}`)
  await speak(port, `${opening}${opening}`)
  expect(await speak(port, 'GET /items/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')).toMatch(/ 200 /)
})

it.each<[string, string[]]>([
  ['keeps its side open', []],
  ['has sent more than it may', ['more']],
])('a client that was refused and %s holds no connection (V18)', async (_, more) => {
  await using fixture = await aRoom()
  const client = connect({ port: await listening(fixture), host: '127.0.0.1', allowHalfOpen: true })
  client.on('error', () => undefined).write(opening)
  for (const text of more) {
    await after(20)
    client.write(text)
  }
  const [answer] = await once(client, 'data')
  expect(String(answer)).toMatch(/^HTTP\/1\.1 403 /)
  await expect.poll(() => held(fixture), patiently).toBe(0)
  client.destroy()
})

it('a client that says nothing while it waits holds its connection no longer than any other', async () => {
  await using fixture = await aRoom({ limits: { silenceMs: 200, handlerMs: 60_000 } })
  using client = Object.assign(connect(await listening(fixture), '127.0.0.1'), {
    [Symbol.dispose]: () => void client.destroy(),
  })
  client.on('error', () => undefined).write(opening.replace('/room', '/room?never'))
  await once(client, 'connect')
  await expect.poll(() => held(fixture), patiently).toBe(0)
})

it('a connection that left HTTP is counted and logged once it is closed', async () => {
  await using fixture = await aRoom()
  const answer = await speak(await listening(fixture), opening.replace('/room', '/room?open'))
  expect(answer).toMatch(/^HTTP\/1\.1 101 .*hello$/s)
  await expect.poll(() => fixture.metrics.text(), patiently).toMatch(/http_requests_total\{.*status="101".*\} 1/)
})

it('a request that is not meant stays one of HTTP', async () => {
  await using fixture = await aRoom()
  expect(
    await speak(await listening(fixture), opening.replace('/room', '/plain').replace('Upgrade\r', 'close\r')),
  ).toMatch(/^HTTP\/1\.1 404 /)
})
