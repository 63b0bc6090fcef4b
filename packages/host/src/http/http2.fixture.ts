import { once } from 'node:events'
import { type ClientHttp2Session, connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { aServer, type Fixture, listening } from './http.fixture.ts'
import type { HttpServerOptions } from './http.ts'
import type { HttpServer } from './http-server.ts'
import { testTls } from './tls.fixture.ts'

export const patiently = { timeout: 20_000 }

/** A server that speaks both, with a few more routes, and a client of HTTP/2. */
export async function both(
  options: Partial<HttpServerOptions> = {},
  more: (server: HttpServer) => void = () => undefined,
) {
  const fixture = await aServer({ http2: true, ...options })
  const { server } = fixture
  const closed: boolean[] = []
  let handled = 0
  server.addHook('preHandler', async () => void handled++)
  server.get('/fields', async (request, reply) => {
    reply.header('x-twice', ['a', 'b']).header('x-caller', request.caller)
    return { fields: request.raw.rawHeaders, version: request.raw.httpVersion }
  })
  server.get('/endless', { config: { handlerMs: 2 ** 31 - 1 } }, async (_, reply) => {
    reply.raw.once('close', () => closed.push(reply.raw.writableFinished))
    const answer = new Readable({ read: () => undefined })
    answer.push('begun')
    return answer
  })
  server.get('/broken', async (_, reply) => {
    reply.hijack()
    reply.raw.writeHead(200, { 'content-length': '100' })
    reply.raw.write('half')
    setTimeout(() => reply.raw.destroy(), 20)
    return reply
  })
  server.get('/large', async () => 'x'.repeat(4 * 1024 * 1024))
  more(server)
  const port = await listening(fixture)
  const scheme = options.tls ? 'https' : 'http'
  const session = connect(`${scheme}://localhost:${port}`, options.tls ? { ca: testTls.certificate } : {})
  session.on('error', () => undefined)
  return {
    ...{ fixture, port, session, closed, handled: () => handled },
    async [Symbol.asyncDispose]() {
      session.destroy()
      await fixture[Symbol.asyncDispose]()
    },
  }
}

export interface Answer {
  headers: IncomingHttpHeaders
  body: string
  /** The code of a reset. */
  reset: number
}

export async function ask(session: ClientHttp2Session, headers: OutgoingHttpHeaders, body?: string): Promise<Answer> {
  const stream = session.request(headers, { endStream: body === undefined })
  if (body !== undefined) stream.end(body)
  let heard: IncomingHttpHeaders = {}
  stream.on('response', (fields) => {
    heard = fields
  })
  const arrived = await text(stream).catch(() => '')
  if (!stream.closed) await once(stream, 'close').catch(() => undefined)
  return { headers: heard, body: arrived, reset: stream.rstCode }
}
const json = { 'content-type': 'application/json' }
export const post = (path: string, more: OutgoingHttpHeaders = {}) => ({
  ':method': 'POST',
  ':path': path,
  ...json,
  ...more,
})
export const held = ({ server }: Fixture) =>
  new Promise<number>((resolve) => server.server.getConnections((_, count) => resolve(count)))
