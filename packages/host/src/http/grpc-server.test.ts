import { once } from 'node:events'
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2'
import { ServiceError } from '@bailiwick/errors'
import { after } from '@bailiwick/kit'
import { afterEach, describe, expect, it } from 'vitest'
import { logger } from '../observe/logger.ts'
import { metrics } from '../observe/metrics.ts'
import { type GrpcCall, type GrpcServerOptions, grpcServer } from './grpc-server.ts'
import { frame, messagesIn } from './grpc-wire.ts'
import { Http2Wire, requestFields } from './http2-wire.fixture.ts'
import { testTls } from './tls.fixture.ts'

let opened = new AsyncDisposableStack()
afterEach(async () => {
  await opened.disposeAsync()
  opened = new AsyncDisposableStack()
})

async function open(methods: GrpcServerOptions['methods'], more: Partial<GrpcServerOptions> = {}) {
  const made = {
    logger: logger({ service: 'test', level: 'silent' }),
    metrics: metrics({ service: 'test', processMetrics: false }),
  }
  const server = opened.use(grpcServer({ ...made, methods, ...more }))
  const url = await server.listen({ host: 'localhost', port: 0 })
  const client = connect(url, { ca: testTls.certificate, servername: 'localhost' })
  client.on('error', () => undefined)
  opened.defer(() => client.destroy())
  return { server, client, url }
}

function call(client: ClientHttp2Session, path: string, fields: object = {}): ClientHttp2Stream {
  const stream = client.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', ...fields })
  stream.on('error', () => undefined)
  return stream
}

async function answerOf(stream: ClientHttp2Stream) {
  const parts: Buffer[] = []
  let status: unknown
  stream.on('data', (part: Buffer) => parts.push(part)).on('trailers', (fields) => (status = fields['grpc-status']))
  await new Promise<void>((resolve) => stream.once('end', resolve).once('close', resolve))
  return [status, Buffer.concat(parts).toString()]
}

/** Joins the messages that it gets. */
const joined = {
  mostBytes: 10,
  async handle({ messages }: { messages: AsyncIterable<Uint8Array> }) {
    const all: Uint8Array[] = []
    for await (const message of messages) all.push(message)
    return Buffer.concat(all)
  },
}

it('gives a method the messages that arrive, however they are cut, and answers with one', async () => {
  const { client } = await open({ '/a.B/C': joined })
  const stream = call(client, '/a.B/C')
  const bytes = Buffer.concat([frame(Buffer.from('one')), frame(Buffer.alloc(0)), frame(Buffer.from('two'))])
  for (const byte of bytes) stream.write(Buffer.from([byte]))
  stream.end()
  expect(await answerOf(stream)).toEqual(['0', frame(Buffer.from('onetwo')).toString()])
})

it.each<[string, string, Uint8Array[]]>([
  ['8', 'a message over its limit', [frame(Buffer.alloc(11))]],
  ['3', 'a message that breaks off', [frame(Buffer.alloc(5)).subarray(0, 9)]],
  ['12', 'a compressed message', [Buffer.from([1, 0, 0, 0, 0])]],
])('answers %s to %s', async (status, _, parts) => {
  const { client } = await open({ '/a.B/C': joined })
  const stream = call(client, '/a.B/C')
  for (const part of parts) stream.write(part)
  stream.end()
  expect(await answerOf(stream)).toEqual([status, ''])
})

it.each<[unknown, string]>([
  [new ServiceError('proxy_unauthenticated'), '16'],
  [new ServiceError('service_unready'), '14'],
  [new Error('a secret'), '13'],
])('tells a caller the kind of an error, and nothing else: %s', async (error, status) => {
  const handle = () => Promise.reject(error)
  const { client } = await open({ '/a.B/C': { mostBytes: 1, handle } })
  expect(await answerOf(call(client, '/a.B/C'))).toEqual([status, ''])
})

it('ends a call that takes too long', async () => {
  const { client } = await open({ '/a.B/C': { ...joined, withinMs: 1 } })
  expect(await answerOf(call(client, '/a.B/C'))).toEqual(['4', ''])
})

it('closes a connection whose caller does not prove itself in time, and keeps one whose caller does', async () => {
  const proved = {
    mostBytes: 1,
    handle: async ({ callerVerified }: { callerVerified: () => void }) => {
      callerVerified()
      return new Uint8Array()
    },
  }
  const { client, url } = await open({ '/a.B/C': proved }, { limits: { headersMs: 200 } })
  await answerOf(call(client, '/a.B/C'))
  const stranger = connect(url)
  stranger.on('error', () => undefined)
  await once(stranger, 'close')
  expect(await answerOf(call(client, '/a.B/C'))).toEqual(['0', frame(new Uint8Array()).toString()])
})

describe('a caller that takes back its call', () => {
  it.each([
    ['of an unknown method', '/none'],
    ['of a method that fails', '/a.B/C'],
  ])('without an error, %s, does not end the process', async (_, path) => {
    const { client, url } = await open({ '/a.B/C': joined })
    const { port } = new URL(url)
    using wire = await Http2Wire.open(Number(port))
    const type = ['content-type', 'application/grpc'] as const
    for (let id = 1; id < 40; id += 2) {
      wire.headers(id, [...requestFields(Number(port), 'POST', path), type], { ends: false })
      for (let n = 0; n < 3; n++) wire.data(id, frame(Buffer.alloc(11)).toString(), false)
      wire.reset(id, 0)
    }
    await after(100)
    const stream = call(client, '/a.B/C')
    stream.end(frame(Buffer.from('x')))
    expect((await answerOf(stream))[0]).toBe('0')
  })

  it('again and again does not end the connection, on which the calls of others are', async () => {
    const { client } = await open({ '/a.B/C': joined })
    const other = call(client, '/a.B/C')
    other.write(frame(Buffer.from('x')))
    for (let n = 0; n < 3000; n++) {
      const stream = call(client, '/a.B/C')
      stream.write('x')
      await new Promise((resolve) => setImmediate(resolve))
      stream.close(8)
    }
    other.end()
    expect((await answerOf(other))[0]).toBe('0')
  })
})

it('a caller that floods ends a connection only if no caller is proved on it', async () => {
  const flooding = {
    mostBytes: 1,
    async handle({ callerVerified, hangUp, metadata }: GrpcCall) {
      if (metadata.includes('proved')) callerVerified()
      hangUp()
      return new Uint8Array()
    },
  }
  const { client, url } = await open({ '/a.B/C': flooding })
  expect((await answerOf(call(client, '/a.B/C', { as: 'proved' })))[0]).toBe('0')
  expect((await answerOf(call(client, '/a.B/C')))[0]).toBe('0')
  const stranger = connect(url)
  stranger.on('error', () => undefined)
  call(stranger, '/a.B/C')
  await once(stranger, 'close')
})

it('ends calls without an end when it stops', async () => {
  const { client, server } = await open({ '/a.B/C': joined })
  const stream = call(client, '/a.B/C')
  stream.write(frame(Buffer.from('x')))
  const answer = answerOf(stream)
  await once(client, 'remoteSettings')
  await new Promise<void>((resolve) => client.ping(() => resolve()))
  await server[Symbol.asyncDispose]()
  expect(await answer).toEqual(['14', ''])
})

it('serves TLS, and no other machine without it', async () => {
  const { client } = await open({ '/a.B/C': joined }, { tls: testTls })
  const stream = call(client, '/a.B/C')
  stream.end(frame(Buffer.from('x')))
  expect(await answerOf(stream)).toEqual(['0', frame(Buffer.from('x')).toString()])
  const made = {
    logger: logger({ service: 'test', level: 'silent' }),
    metrics: metrics({ service: 'test', processMetrics: false }),
  }
  await using plain = grpcServer({ ...made, methods: {} })
  await expect(plain.listen({ host: '0.0.0.0', port: 0 })).rejects.toThrow('config_invalid')
})

it('reads a prefix before it takes any more', async () => {
  let taken = 0
  async function* endless() {
    for (;;) {
      taken++
      yield frame(Buffer.alloc(100))
    }
  }
  await expect(messagesIn(endless(), 10).next()).rejects.toThrow('body_too_large')
  expect(taken).toBe(1)
})
