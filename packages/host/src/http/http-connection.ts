import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { BlockList, type Server as NetServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { ServiceError, toProblem } from '@bailiwick/errors'
import type { FastifyInstance } from 'fastify'
import { isIn, networkOf, plain } from './http-caller.ts'
import { speakHttp2 } from './http2.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** How long the route's handler may take, in ms. Default: the server's `handlerMs`. */
    handlerMs?: number
  }
}

/** Limits of connections and requests. Every wait ends (DESIGN §9). All times in ms. */
export interface HttpLimits {
  /** From the start of the connection, or the previous response, to the end of a request's head. */
  headersMs: number
  /** From there to the end of its body. */
  requestMs: number
  /** From there to the response. A route may set its own, `config.handlerMs`. */
  handlerMs: number
  /** How long a connection without a request is kept. */
  keepAliveMs: number
  /** How long a connection may be silent, even while a response is being sent. */
  silenceMs: number
  /** How long the reader of a whole response may take, in addition to the time for its bytes. Until then the bytes stay in memory. */
  answerMs: number
  /** The least number of bytes a second that it must read. */
  answerBytesPerSecond: number
  /** Connections at once, and requests of HTTP/2 at once. A further one is closed before it can send anything. */
  maxConnections: number
  /** How many of them one network may hold (V18). Trusted proxies are exempt, because each stands for many callers. */
  maxConnectionsOfOne: number
  /** How long `close` waits for requests in progress. */
  graceMs: number
}

export const httpLimits: HttpLimits = {
  headersMs: 10_000,
  requestMs: 30_000,
  handlerMs: 30_000,
  keepAliveMs: 15_000,
  silenceMs: 120_000,
  answerMs: 30_000,
  answerBytesPerSecond: 131_072,
  maxConnections: 4096,
  maxConnectionsOfOne: 2048,
  graceMs: 10_000,
}

/** PEM, from files that only this process can read. */
export interface TlsFiles {
  certificate: string | Buffer
  key: string | Buffer
}

/** One of Node's servers with the limits applied, for `httpServer`. */
export function boundedServer(
  handler: RequestListener,
  limits: HttpLimits,
  {
    tls,
    trusted = new BlockList(),
    http2 = false,
  }: { tls: TlsFiles | undefined; trusted?: BlockList | undefined; http2?: boolean | undefined },
): Server {
  const bounds = {
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    // Node checks only this often, so the times above are exact only to within this interval.
    connectionsCheckingInterval: Math.max(50, Math.min(1000, limits.headersMs / 2)),
    maxHeaderSize: 16_384,
  }
  const server =
    tls === undefined
      ? createServer(bounds, handler)
      : createTlsServer(
          {
            ...bounds,
            handshakeTimeout: limits.headersMs,
            ...(http2 ? { ALPNProtocols: ['h2', 'http/1.1'] } : {}),
            ...{ cert: tls.certificate, key: tls.key, minVersion: 'TLSv1.2' },
          },
          handler,
        )
  server.maxConnections = limits.maxConnections
  server.setTimeout(limits.silenceMs)
  const admit = shareConnections(server, limits.maxConnectionsOfOne, trusted)
  const isProxy = (address = '') => isIn(trusted, plain(address))
  if (http2) speakHttp2(server, { limits, isTls: tls !== undefined, admit, isProxy })
  return server
}

type Connection = Duplex & { remoteAddress?: string | undefined }

/**
 * A client that opens as many silent connections as possible keeps no other network out. Surplus connections are closed at once. Returns what
 * counts one that the server did not accept by itself.
 */
export function shareConnections(
  server: NetServer,
  most: number,
  trusted: BlockList = new BlockList(),
): (socket: Connection) => void {
  const held = new Map<string, number>()
  const all = new Set<Connection>()
  open.set(server, all)
  const admit = (socket: Connection) => {
    all.add(socket)
    socket.once('close', () => all.delete(socket))
    const peer = plain(socket.remoteAddress ?? '')
    if (isIn(trusted, peer)) return
    const network = networkOf(peer)
    const own = held.get(network) ?? 0
    if (own >= most) return void socket.destroy()
    held.set(network, own + 1)
    socket.once('close', () => {
      const left = (held.get(network) ?? 0) - 1
      if (left > 0) held.set(network, left)
      else held.delete(network)
    })
  }
  server.on('connection', admit)
  return admit
}

const open = new WeakMap<NetServer, Set<Connection>>()

/** Includes connections whose TLS handshake is not over: Node does not count them as its own, and a close would wait for them. */
export function cutConnections(server: NetServer): void {
  for (const socket of open.get(server) ?? []) socket.destroy()
}

/**
 * Every caller gets a response in time, if only `deadline_exceeded`. A response that has begun is cut off. The handler's work is not
 * stopped. fastify's `handlerTimeout` (5.12) is not used: it ends when Node closes the request, which happens once the body was read.
 */
export function boundHandlers(app: FastifyInstance, { handlerMs }: HttpLimits): void {
  app.addHook('preHandler', (request, reply, done) => {
    const late = () => {
      if (reply.sent) return // complete; `boundAnswer` limits how long its reader may take
      if (reply.raw.headersSent) reply.raw.destroy()
      else reply.send(new ServiceError('deadline_exceeded'))
    }
    const timer = setTimeout(late, request.routeOptions.config.handlerMs ?? handlerMs).unref()
    reply.raw.once('close', () => clearTimeout(timer))
    done()
  })
}

/** The bytes that the socket buffers of any machine hold. */
const heldBySockets = 65_536

/**
 * Cuts off a client that reads a whole response too slowly: by reading a byte now and then it is never silent, and could hold it for ever.
 */
export function boundAnswer(response: ServerResponse, bytes: number, limits: HttpLimits): void {
  if (bytes <= heldBySockets) return
  const ms = limits.answerMs + (bytes / limits.answerBytesPerSecond) * 1000
  const cut = setTimeout(() => response.destroy(), ms)
  response.once('close', () => clearTimeout(cut))
}

const unhurried = new WeakSet<Socket>()

/**
 * Lifts `requestMs` from the request that a connection now carries, until what it returns is called: a body of any length then takes as long
 * as its route lets it. Only for callers that were let in.
 */
export function takeTime(socket: Socket): () => void {
  unhurried.add(socket)
  return () => void unhurried.delete(socket)
}

/** Answers input that is not HTTP, too slow or too large, before there is a request. Writes the same problem documents by hand. */
export function refuseConnection(error: Error & { code?: string }, socket: Socket): void {
  // Node says so once for each request, and then watches it no more.
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && unhurried.has(socket)) return
  // Without a handshake, written bytes never leave, and waiting for them would hold the connection for good.
  const isMute = /^ERR_(TLS|SSL)_/.test(error.code ?? '')
  if (isMute || error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) return void socket.destroy()
  const problem = toProblem(new ServiceError(refusalCode(error.code)))
  const body = JSON.stringify(problem)
  const head = [
    `HTTP/1.1 ${problem.status} ${phrases[problem.status] ?? 'Error'}`,
    'content-type: application/problem+json',
    `content-length: ${Buffer.byteLength(body)}`,
    'cache-control: no-store',
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}

const phrases: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  413: 'Content Too Large',
  431: 'Request Header Fields Too Large',
}

function refusalCode(code: string | undefined): ServiceError['code'] {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'request_timed_out'
  if (code === 'HPE_HEADER_OVERFLOW') return 'headers_too_large'
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return 'body_too_large'
  return 'request_malformed'
}
