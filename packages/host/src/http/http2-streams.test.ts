import { once } from 'node:events'
import { BlockList } from 'node:net'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { after } from '@bailiwick/kit'
import { describe, expect, it } from 'vitest'
import { ask, both, held, patiently } from './http2.fixture.ts'
import { Http2Wire, requestFields } from './http2-wire.fixture.ts'

type Fault = (wire: Http2Wire, port: number, id: number) => void

const loopback = new BlockList()
loopback.addAddress('127.0.0.1')

const faults: [string, Fault][] = [
  [
    'two hosts',
    (wire, port, id) => wire.headers(id, [...requestFields(port, 'GET', '/items/1'), ['host', 'evil.test']]),
  ],
  ['no path', (wire, port, id) => wire.headers(id, requestFields(port, 'GET', ''))],
  ['a space in the path', (wire, port, id) => wire.headers(id, requestFields(port, 'GET', '/items/1 2'))],
  [
    'a field about the connection',
    (wire, port, id) => wire.headers(id, [...requestFields(port, 'GET', '/items/1'), ['connection', 'close']]),
  ],
  [
    'trailers',
    (wire, port, id) => {
      wire.headers(id, requestFields(port, 'POST', '/echo'), { ends: false })
      wire.data(id, '{}', false)
      wire.headers(id, [['x-admin', '1']])
    },
  ],
  [
    'a request that is taken back',
    (wire, port, id) => {
      wire.headers(id, requestFields(port, 'POST', '/echo'), { ends: false })
      wire.reset(id)
    },
  ],
]

describe('what is wrong with one stream of a connection (V18)', () => {
  it.each(faults)('ends that stream alone: %s', async (_, fault) => {
    await using at = await both({ limits: { graceMs: 100 } })
    using wire = await Http2Wire.open(at.port)
    wire.headers(1, requestFields(at.port, 'GET', '/endless'))
    await expect.poll(() => wire.outcome(1).body, patiently).toBe('begun')
    fault(wire, at.port, 3)
    await after(50)
    wire.headers(5, requestFields(at.port, 'GET', '/items/1'))
    expect((await wire.ended(5)).body).toBe('{"id":"1"}')
    expect(wire.outcome(1)).toMatchObject({ isWhole: false, reset: undefined, isClosed: false })
  })

  it.each(faults)('never ends the connection of a trusted proxy, on which many agents are: %s', async (_, fault) => {
    await using at = await both({ trustedProxies: loopback })
    using wire = await Http2Wire.open(at.port)
    for (let n = 0; n < 300; n++) {
      fault(wire, at.port, 2 * n + 1)
      if (n % 20 === 0) await after(10)
    }
    const id = 601
    wire.headers(id, requestFields(at.port, 'GET', '/items/1'))
    expect((await wire.ended(id)).body).toBe('{"id":"1"}')
  })
})

describe('an answer that HTTP/2 cannot carry', () => {
  it.each([600, 700, 999])('with the status %i is an error, and the process goes on', async (status) => {
    await using at = await both({}, (server) => {
      server.get('/odd', async (_, reply) => {
        reply.hijack().raw.writeHead(status).end('x')
        return reply
      })
    })
    const answer = await ask(at.session, { ':path': '/odd' })
    expect([answer.headers[':status'], JSON.parse(answer.body).code]).toEqual([500, 'internal'])
    expect((await ask(at.session, { ':path': '/items/1' })).headers[':status']).toBe(200)
  })

  it('loses its fields about the connection', async () => {
    const odd = { 'http2-settings': 'x', upgrade: 'h2c', te: 'gzip', 'x-kept': '1' }
    await using at = await both({}, (server) => {
      server.get('/odd', async (_, reply) => {
        reply.hijack().raw.writeHead(200, odd).end('x')
        return reply
      })
    })
    const { headers, body } = await ask(at.session, { ':path': '/odd' })
    expect([headers[':status'], headers['x-kept'], headers.upgrade, body]).toEqual([200, '1', undefined, 'x'])
  })

  it('may have a head as long as an API’s', async () => {
    await using at = await both({}, (server) => {
      server.get('/wide', async (_, reply) => reply.headers({ 'x-a': 'a'.repeat(15_900) }).send('x'))
    })
    expect((await ask(at.session, { ':path': '/wide' })).headers[':status']).toBe(200)
  })
})

describe('an answer that its client does not read (V18)', () => {
  it('stays at its source, except a few parts', async () => {
    let made = 0
    await using at = await both({ limits: { graceMs: 100 } }, (server) => {
      server.get('/flow', async () => new Readable({ read: flow((bytes) => (made += bytes)) }))
    })
    using wire = await Http2Wire.open(at.port)
    wire.headers(1, requestFields(at.port, 'GET', '/flow'))
    await expect.poll(() => wire.outcome(1).body.length, patiently).toBe(65_535)
    const before = made
    await after(200)
    expect(made).toBe(before)
    expect(made).toBeLessThan(400_000)
  })

  it('is not sent for the route until it is read, however it is made', async () => {
    let isSent = false
    await using at = await both({}, (server) => {
      server.addHook('onResponse', async () => {
        isSent = true
      })
    })
    const stream = at.session.request({ ':path': '/large' })
    await once(stream, 'response')
    await after(200)
    expect(isSent).toBe(false)
    expect((await text(stream)).length).toBe(4 * 1024 * 1024)
    await expect.poll(() => isSent, patiently).toBe(true)
  })

  it('counts as a connection of its network until it is read', async () => {
    await using at = await both({ limits: { maxConnectionsOfOne: 4 } })
    const unread = Array.from({ length: 3 }, () => at.session.request({ ':path': '/large' }))
    await Promise.all(unread.map((stream) => once(stream, 'response')))
    await after(100)
    expect((await ask(at.session, { ':path': '/items/1' })).reset).toBe(7)
    await Promise.all(unread.map((stream) => text(stream)))
    await expect
      .poll(async () => (await ask(at.session, { ':path': '/items/1' })).headers[':status'], patiently)
      .toBe(200)
  })

  it.each([
    ['no frame', true],
    ['no part of it', false],
  ])('ends in time, and the connection of a client that reads %s with it', async (_, isDeaf) => {
    let closed = 0
    await using at = await both({ limits: { silenceMs: 300, keepAliveMs: 200, answerMs: 300 } }, (server) => {
      server.get('/flow', async (request, reply) => {
        // Like a stream of events, which HTTP/1.1 gives no time limit.
        request.raw.socket.setTimeout(0)
        reply.raw.once('close', () => closed++)
        return new Readable({ read: flow(() => undefined) })
      })
    })
    at.session.destroy()
    using wire = await Http2Wire.open(at.port)
    if (isDeaf) {
      wire.settings([[4, 2 ** 31 - 1]])
      wire.widen(0)
      await after(50)
      wire.stopReading()
    }
    for (const id of [1, 3, 5]) wire.headers(id, requestFields(at.port, 'GET', '/flow'))
    await expect.poll(() => closed, patiently).toBe(3)
    await expect.poll(() => held(at.fixture), patiently).toBe(0)
  })
})

function flow(onMade: (bytes: number) => void) {
  const part = Buffer.alloc(65_536)
  return function read(this: Readable): void {
    onMade(part.length)
    this.push(part)
  }
}

it('padding of a body is no part of it', async () => {
  await using at = await both()
  using wire = await Http2Wire.open(at.port)
  const fields = [['content-type', 'application/json'] as const, ['content-length', '7'] as const]
  wire.headers(1, [...requestFields(at.port, 'POST', '/echo'), ...fields], { ends: false })
  wire.padded(1, '{"a":1}', 255)
  expect(JSON.parse((await wire.ended(1)).body)).toMatchObject({ body: { a: 1 } })
})
