import { once } from 'node:events'
import { get as getPlain } from 'node:http'
import { get } from 'node:https'
import { connect, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { after } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { aServer, listening, speak } from './http.fixture.ts'
import { readNetworks } from './http-caller.ts'
import { type HttpLimits, type TlsFiles, takeTime } from './http-connection.ts'
import { testTls } from './tls.fixture.ts'

it('answers what is no HTTP with a problem document', async () => {
  await using fixture = await aServer()
  const answer = await speak(await listening(fixture), 'SSH-2.0-OpenSSH\r\n\r\n')
  expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/)
  expect(answer).toContain('content-type: application/problem+json')
  expect(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).toMatchObject({ status: 400, code: 'request_malformed' })
})

it('answers a head over the limit', async () => {
  await using fixture = await aServer()
  const answer = await speak(
    await listening(fixture),
    `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
  )
  expect(answer).toMatch(/^HTTP\/1\.1 431 /)
  expect(answer).toContain('"code":"headers_too_large"')
})

it('does not wait for a head that comes drop by drop (slowloris)', async () => {
  await using fixture = await aServer({ limits: { headersMs: 100 } })
  const port = await listening(fixture)
  const started = performance.now()
  const answer = await speak(port, 'GET / HTTP/1.1\r\n', 60, 'A: b\r\n', 60, 'C: d\r\n', 60, 'E: f\r\n', 60, 'G: h\r\n')
  expect(answer).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/)
  expect(answer).toContain('"code":"request_timed_out"')
  expect(performance.now() - started).toBeLessThan(2000)
})

it('does not wait for a body that comes drop by drop', async () => {
  await using fixture = await aServer({ limits: { headersMs: 100, requestMs: 150 } })
  const port = await listening(fixture)
  const head =
    'POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n'
  const answer = await speak(port, head, '{', 100, ' ', 100, ' ', 100, ' ')
  expect(answer).toMatch(/^HTTP\/1\.1 408 /)
})

it('waits for a body that a route gives time to, and for no later one on the connection', async () => {
  await using fixture = await aServer({ limits: { headersMs: 100, requestMs: 150 } })
  fixture.server.post('/long', {
    async onRequest(request, reply) {
      const hurry = takeTime(request.raw.socket)
      reply.raw.once('close', hurry)
    },
    handler: ({ body }) => ({ body }),
  })
  const port = await listening(fixture)
  const head = (path: string) =>
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n`
  const answers = await speak(port, head('/long'), '{"a', 400, '":1', 400, '2}', 50, head('/echo'), '{"a')
  expect(answers).toContain('{"body":{"a":12}}')
  expect(answers.match(/HTTP\/1\.1 \d{3}/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 408'])
})

it('closes a connection that says nothing', async () => {
  await using fixture = await aServer({ limits: { headersMs: 100, requestMs: 150, silenceMs: 300 } })
  const started = performance.now()
  await speak(await listening(fixture))
  expect(performance.now() - started).toBeLessThan(2000)
})

it('gives up an answer that stands still half way', async () => {
  await using fixture = await aServer({ limits: { silenceMs: 100 } })
  fixture.server.get('/stuck', async () => {
    const answer = new Readable({ read: () => undefined })
    answer.push('half')
    return answer
  })
  const started = performance.now()
  expect(await speak(await listening(fixture), 'GET /stuck HTTP/1.1\r\nHost: localhost\r\n\r\n')).toContain('half')
  expect(performance.now() - started).toBeLessThan(2000)
})

/** More than the socket buffers of any machine hold. */
const large = Buffer.alloc(64 << 20, 'a')

/** Whether the server had handed over all of a large response when it closed the connection. `read` gets the client's socket. */
async function handedOver(limits: Partial<HttpLimits>, read: (socket: Socket) => void): Promise<boolean> {
  await using fixture = await aServer({ limits: { graceMs: 50, ...limits } })
  const done = Promise.withResolvers<boolean>()
  fixture.server.get('/large', async (_, reply) => {
    reply.raw.once('close', () => done.resolve(reply.raw.writableFinished))
    return large
  })
  const socket = connect(await listening(fixture), '127.0.0.1').pause()
  socket.on('error', () => undefined)
  socket.write('GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n')
  read(socket)
  try {
    return await done.promise
  } finally {
    socket.destroy()
  }
}

it('does not keep a large answer for who reads it drop by drop (V18)', async () => {
  let drip: NodeJS.Timeout | undefined
  const all = await handedOver({ answerMs: 200, answerBytesPerSecond: 1 << 30, silenceMs: 60_000 }, (socket) => {
    drip = setInterval(() => socket.read(262_144) ?? socket.read(), 50) // reading all of it would take many seconds
  })
  clearInterval(drip)
  expect(all).toBe(false)
})

it('keeps a large answer for who reads it', async () => {
  expect(await handedOver({ answerMs: 60_000 }, (socket) => void socket.resume())).toBe(true)
})

it('takes no more connections than it may', async () => {
  await using fixture = await aServer({ limits: { maxConnections: 2 } })
  const port = await listening(fixture)
  const slow = 'GET /items/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n'
  const held = [speak(port, slow, 150, '\r\n'), speak(port, slow, 150, '\r\n')]
  await after(50)
  expect(await speak(port, slow, '\r\n')).toBe('')
  for (const answer of await Promise.all(held)) expect(answer).toMatch(/^HTTP\/1\.1 200 /)
  expect(await speak(port, slow, '\r\n')).toMatch(/^HTTP\/1\.1 200 /)
})

/** A connection that sends nothing. */
async function silent(port: number): Promise<Socket & Disposable> {
  const socket = connect(port, '127.0.0.1').resume()
  await once(socket, 'connect')
  return Object.assign(socket, { [Symbol.dispose]: () => void socket.destroy() })
}

/** The status of a whole request on its own connection from some address of this machine; undefined: the connection was closed. */
function statusOf(port: number, tls: TlsFiles | undefined, localAddress = '127.0.0.1'): Promise<number | undefined> {
  const { promise, resolve } = Promise.withResolvers<number | undefined>()
  const at = { host: '127.0.0.1', port, path: '/items/1', agent: false, localAddress, rejectUnauthorized: false }
  const asked = (tls === undefined ? getPlain : get)(at, (answer) => {
    answer.resume().on('close', () => resolve(answer.statusCode))
  })
  asked.on('error', () => resolve(undefined))
  return promise
}

// Other systems have only one loopback address.
it.skipIf(process.platform !== 'linux').each([undefined, testTls])(
  'a client with all the connections that one network may have keeps no other client out (V18)',
  async (tls) => {
    await using fixture = await aServer({ limits: { maxConnections: 8, maxConnectionsOfOne: 2 }, tls })
    const port = await listening(fixture)
    using first = await silent(port)
    using second = await silent(port)
    using third = await silent(port)
    await expect.poll(() => third.closed, { timeout: 30_000 }).toBe(true)
    expect(await statusOf(port, tls)).toBeUndefined()
    expect(await statusOf(port, tls, '127.0.0.2')).toBe(200)
    for (const socket of [first, second]) socket.destroy()
    // A closed connection no longer counts, however often that happens.
    for (let n = 0; n < 4; n++) await expect.poll(() => statusOf(port, tls)).toBe(200)
  },
)

it('does not wait for a TLS handshake that never comes (V18)', async () => {
  await using fixture = await aServer({ tls: testTls, limits: { headersMs: 100 } })
  using stranger = await silent(await listening(fixture))
  await expect.poll(() => stranger.closed, { timeout: 30_000 }).toBe(true)
})

it('does not wait for it when it closes, either (V18)', { timeout: 20_000 }, async () => {
  await using fixture = await aServer({ tls: testTls, limits: { headersMs: 30_000, graceMs: 100 } })
  using _ = await silent(await listening(fixture))
  await fixture.server.close()
})

it('a trusted proxy holds connections for all who are behind it', async () => {
  const trustedProxies = readNetworks('127.0.0.1')
  await using fixture = await aServer({ limits: { maxConnectionsOfOne: 1 }, trustedProxies })
  const port = await listening(fixture)
  using _ = await silent(port)
  expect(await statusOf(port, undefined)).toBe(200)
})

it('speaks TLS with the files it was given', async () => {
  await using fixture = await aServer({ tls: testTls })
  const address = await fixture.server.listen({ port: 0 })
  expect(address).toMatch(/^https:/)
  const { promise: status, resolve, reject } = Promise.withResolvers<number | undefined>()
  const options = { ca: testTls.certificate, servername: 'localhost', agent: false }
  get(`${address}/items/1`, options, (answer) => resolve(answer.resume().statusCode)).on('error', reject)
  expect(await status).toBe(200)
})

it('finishes what it is answering before it closes, takes nothing new, and says so', async () => {
  const fixture = await aServer()
  const gate = Promise.withResolvers<string>()
  const begun = Promise.withResolvers<void>()
  fixture.server.get('/slow', () => {
    begun.resolve()
    return gate.promise
  })
  const port = await listening(fixture)
  const running = speak(port, 'GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await begun.promise
  const closed = fixture.server.close()
  const patiently = { timeout: 60_000 }
  await expect.poll(() => fixture.health.readiness(), patiently).toEqual({ process: 'stopping' })
  const another = () => speak(port, 'GET /items/1 HTTP/1.1\r\nHost: localhost\r\n\r\n').catch(() => 'refused')
  await expect.poll(another, patiently).toMatch(/refused|^$/)
  gate.resolve('done')
  expect(await running).toMatch(/^HTTP\/1\.1 200 [\s\S]*done$/)
  await closed
})

it('does not start a request that is sent behind a running one during the close', async () => {
  const fixture = await aServer()
  const gate = Promise.withResolvers<string>()
  const running = Promise.withResolvers<void>()
  let started = 0
  fixture.server.get('/slow', () => {
    running.resolve()
    return gate.promise
  })
  fixture.server.post('/effect', async () => ++started)
  const port = await listening(fixture)
  const behind = 'POST /effect HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n'
  const both = speak(port, 'GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n', 500, behind)
  await running.promise
  const closed = fixture.server.close()
  await after(1000)
  gate.resolve('done')
  expect(await both).toContain('done')
  await closed
  expect(started).toBe(0)
})

it('does not wait for ever for a handler that never answers', async () => {
  const fixture = await aServer({ limits: { graceMs: 50 } })
  fixture.server.get('/never', () => new Promise(() => undefined))
  const hanging = speak(await listening(fixture), 'GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await after(30)
  const started = performance.now()
  await fixture[Symbol.asyncDispose]()
  expect(performance.now() - started).toBeLessThan(1500)
  expect(await hanging).toBe('')
})
