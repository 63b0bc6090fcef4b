import { request as send } from 'node:http'
import { ServiceError } from '@bailiwick/errors'
import { systemRandom, type TestClock, testClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { Health } from '../observe/health.ts'
import { logger } from '../observe/logger.ts'
import { metrics } from '../observe/metrics.ts'
import { httpServer } from './http.ts'
import { readNetworks } from './http-caller.ts'

const perSecond = 5
const burst = 10 * perSecond
const network = '192.0.2.1'

/** A server with a public route, and a route that verifies its caller by a word in the head or in the body. Time stands still. */
async function aServer({ holdMs = 0, clock = testClock() }: { holdMs?: number; clock?: TestClock } = {}) {
  const app = await httpServer({
    logger: logger({ service: 'test', level: 'silent' }),
    ...{ clock, health: new Health(), metrics: metrics({ service: 'test', processMetrics: false }) },
    ...{ random: systemRandom, strangers: { perSecond, holdMs }, trustedProxies: readNetworks('198.51.100.0/24') },
  })
  let handled = 0
  app.get('/public', async () => ({ handled: ++handled }))
  app.get('/closed', async (request) => {
    handled++
    if (request.headers.authorization !== 'Bearer good') throw new ServiceError('caller_unauthenticated')
    request.callerVerified()
    return { fine: true }
  })
  app.post('/closed', async (request) => {
    handled++
    if (Object(request.body).who !== 'good') throw new ServiceError('caller_unauthenticated')
    request.callerVerified()
    throw new ServiceError('access_request_unknown')
  })
  const ask = async (
    options: { url?: string; from?: string; headers?: Record<string, string>; payload?: object } = {},
  ) => {
    const { url = '/public', from = network, headers = {}, payload } = options
    const answer = await app.inject({
      method: payload ? 'POST' : 'GET',
      url,
      remoteAddress: from,
      headers,
      ...(payload && { payload }),
    })
    const { code } = answer.json() as { code?: string }
    return {
      status: answer.statusCode,
      code,
      retry: answer.headers['retry-after'],
      type: answer.headers['content-type'],
    }
  }
  const spend = async (from = network) => {
    for (let n = 0; n < burst; n++) await ask({ from })
  }
  return { app, clock, ask, spend, handled: () => handled, [Symbol.asyncDispose]: () => app.close() }
}

const refused = { status: 429, code: 'rate_limited', retry: '1', type: 'application/problem+json' }
const good = { url: '/closed', headers: { authorization: 'Bearer good' } }

it('a network has its burst and its rate, an IPv6 /64 is one network, and others go on (V18)', async () => {
  await using server = await aServer()
  const { ask, spend, clock } = server
  await spend()
  expect(await ask()).toMatchObject(refused)
  expect(await ask({ from: '192.0.2.2' })).toMatchObject({ status: 200 })
  await spend('2001:db8::1')
  expect(await ask({ from: '2001:db8::ffff:1' })).toMatchObject(refused)
  expect(await ask({ from: '2001:db8:0:1::1' })).toMatchObject({ status: 200 })
  // Behind a trusted proxy, the caller is the address that the proxy reports.
  expect(await ask({ from: '198.51.100.7', headers: { 'x-forwarded-for': network } })).toMatchObject(refused)
  expect(await ask({ from: '198.51.100.7', headers: { 'x-forwarded-for': '203.0.113.9' } })).toMatchObject({
    status: 200,
  })
  clock.advance(1000)
  for (let n = 0; n < perSecond; n++) expect(await ask()).toMatchObject({ status: 200 })
  expect(await ask()).toMatchObject(refused)
})

it('what a verified caller asks for is not charged, and is answered however much strangers ask behind its address (V18)', async () => {
  await using server = await aServer()
  const { ask, spend } = server
  for (let n = 0; n < 3 * burst; n++) expect(await ask(good)).toMatchObject({ status: 200 })
  for (let n = 0; n < burst; n++)
    expect(await ask({ url: '/closed', payload: { who: 'good' } })).toMatchObject({ status: 404 })
  expect(await ask()).toMatchObject({ status: 200 })
  await spend()
  expect(await ask()).toMatchObject(refused)
  expect(await ask(good)).toMatchObject({ status: 200 })
  expect(await ask({ url: '/closed', payload: { who: 'good' } })).toMatchObject({ status: 404 })
})

it('who says who it is and does not prove it is refused like any stranger, also of what is public (V18)', async () => {
  await using server = await aServer()
  const { ask, spend, handled } = server
  expect(await ask({ url: '/closed', headers: { authorization: 'Bearer bad' } })).toMatchObject({ status: 401 })
  await spend()
  const before = handled()
  expect(await ask()).toMatchObject(refused)
  expect(handled()).toBe(before) // refused before any work was done
  for (const lie of [
    { url: '/closed', headers: { authorization: 'Bearer bad' } },
    { url: '/closed', payload: { who: 'bad' } },
    { url: '/public', headers: { cookie: 'a=b' } },
    { url: '/nothing', headers: { dpop: 'x' } },
  ])
    expect(await ask(lie)).toMatchObject(refused)
})

it('whether an instance lives is answered to a network that has used up its own (V18)', async () => {
  await using server = await aServer()
  await server.spend()
  expect(await server.ask({ url: '/healthz' })).toMatchObject({ status: 200 })
})

it('a refusal is held back, and a second request on a connection that waits for one ends it (V18)', async () => {
  await using server = await aServer({ holdMs: 1000 })
  await server.app.listen({ port: 0 })
  const { port } = server.app.server.address() as { port: number }
  for (let n = 0; n < burst; n++) await (await fetch(`http://127.0.0.1:${port}/public`)).text()
  expect((await fetch(`http://127.0.0.1:${port}/public`)).status).toBe(429)
  const { promise: ended, resolve } = Promise.withResolvers<Buffer>()
  const first = send({ port, host: '127.0.0.1', path: '/public' })
  first.on('error', () => undefined)
  first.on('socket', (socket) => {
    const seen: Buffer[] = []
    socket.on('data', (bytes: Buffer) => seen.push(bytes))
    socket.on('close', () => resolve(Buffer.concat(seen)))
    socket.once('connect', () => socket.write(`GET /public HTTP/1.1\r\nhost: x\r\n\r\n`.repeat(50)))
  })
  first.end()
  expect((await ended).toString()).toBe('')
})
