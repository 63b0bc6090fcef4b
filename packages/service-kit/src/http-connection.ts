import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { BlockList, type Socket } from 'node:net'
import { ServiceError, toProblem } from '@bailiwick/errors'
import type { FastifyInstance } from 'fastify'
import { isIn, networkOf, plain } from './http-caller.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** How long the route's handler may take, in ms, where that is not the server's `handlerMs`. */
    handlerMs?: number
  }
}

/** Bounds of connections and requests; every wait ends (DESIGN §9). All times in ms. */
export interface HttpLimits {
  /** From the connection, or the previous answer, to the end of a request's head. */
  headersMs: number
  /** To the end of its body. */
  requestMs: number
  /** From there to the answer; a route may set its own, `config.handlerMs`. */
  handlerMs: number
  /** How long a connection without a request is kept. */
  keepAliveMs: number
  /** How long a connection may be silent, also while an answer is being sent. */
  silenceMs: number
  /** How long the reader of a whole answer may take, beside the time for its bytes: until it has them, they stay in memory. */
  answerMs: number
  /** How many bytes a second it must take at least. */
  answerBytesPerSecond: number
  /** Connections at once; one more is closed before it can say anything. */
  maxConnections: number
  /** As many of them as one network may hold that is no trusted proxy, which stands for many (V18). */
  maxConnectionsOfOne: number
  /** How long `close` waits for requests that are being answered. */
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

/** A server of node's within the limits, for `httpServer`. */
export function boundedServer(
  handler: RequestListener,
  limits: HttpLimits,
  { tls, trusted = new BlockList() }: { tls: TlsFiles | undefined; trusted?: BlockList | undefined },
): Server {
  const bounds = {
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    // node looks only this often: the times above are kept to within it.
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
            ...{ cert: tls.certificate, key: tls.key, minVersion: 'TLSv1.2' },
          },
          handler,
        )
  server.maxConnections = limits.maxConnections
  server.setTimeout(limits.silenceMs)
  shareConnections(server, limits.maxConnectionsOfOne, trusted)
  return server
}

/** Whoever opens as many as there are, and says nothing, keeps nobody else out. One that is too many is closed at once. */
function shareConnections(server: Server, most: number, trusted: BlockList): void {
  const held = new Map<string, number>()
  const all = new Set<Socket>()
  open.set(server, all)
  server.on('connection', (socket: Socket) => {
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
  })
}

const open = new WeakMap<Server, Set<Socket>>()

/** Those too whose TLS handshake is not over: node does not count them as its own, and a close would wait for them. */
export function cutConnections(server: Server): void {
  for (const socket of open.get(server) ?? []) socket.destroy()
}

/**
 * Whoever asked is answered in time, if with `deadline_exceeded`; an answer that has begun is cut off. What the handler does
 * is not stopped. Not fastify's `handlerTimeout` (5.12): it ends when node closes the request, which is once its body was read.
 */
export function boundHandlers(app: FastifyInstance, { handlerMs }: HttpLimits): void {
  app.addHook('preHandler', (request, reply, done) => {
    const late = () => {
      if (reply.sent) return // whole; how long its reader may take is `boundAnswer`'s to say
      if (reply.raw.headersSent) reply.raw.destroy()
      else reply.send(new ServiceError('deadline_exceeded'))
    }
    const timer = setTimeout(late, request.routeOptions.config.handlerMs ?? handlerMs).unref()
    reply.raw.once('close', () => clearTimeout(timer))
    done()
  })
}

/** What the sockets of any machine hold themselves. */
const heldBySockets = 65_536

/** Cuts off whoever takes too long to read a whole answer: who reads a byte now and then is never silent, and would hold it for ever. */
export function boundAnswer(response: ServerResponse, bytes: number, limits: HttpLimits): void {
  if (bytes <= heldBySockets) return
  const ms = limits.answerMs + (bytes / limits.answerBytesPerSecond) * 1000
  const cut = setTimeout(() => response.destroy(), ms)
  response.once('close', () => clearTimeout(cut))
}

/** Answers what is not HTTP, too slow or too large before there is a request: the same documents, by hand. */
export function refuseConnection(error: Error & { code?: string }, socket: Socket): void {
  // Without a handshake nothing that is written ever leaves, and what waits for that would hold the connection for good.
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
