import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo, BlockList } from 'node:net'
import { errorCode } from '@bailiwick/errors'
import type { RawHeaders } from '@bailiwick/kit'
import type { Logger } from '../observe/logger.ts'
import type { Metrics } from '../observe/metrics.ts'
import { frame, type GrpcStatus, grpcStatus, messagesIn, statusOf } from './grpc-wire.ts'
import { plain } from './http-caller.ts'
import { cutConnections, type HttpLimits, httpLimits, shareConnections } from './http-connection.ts'
import { assertListenerAllowed, type Tls } from './listener.ts'

/** One call of a method. The caller may send any number of messages. It gets one, or an error. */
export interface GrpcCall {
  /** Names and values alternate, names in lower case, as received. */
  readonly metadata: RawHeaders
  /** The address of the peer. */
  readonly peer: string
  /**
   * The messages, in order, read once. Throws `body_too_large` before a message over the limit is read, `content_encoding_forbidden` for a
   * compressed one, and `request_malformed` for one that breaks off.
   */
  readonly messages: AsyncIterable<Uint8Array>
  /** Call this once the caller is proved. Until then its connection has little time. */
  callerVerified(): void
  /** Closes the whole connection, unless a caller proved itself on it: such a connection only floods. */
  hangUp(): void
}

export interface GrpcMethod {
  /** Resolves with the one message of the answer. What it throws becomes the status of the call. */
  handle(call: GrpcCall): Promise<Uint8Array>
  /** The most bytes of one message. */
  mostBytes: number
  /** How long a call may take, ms. Without it: until the caller ends it, or this server stops. */
  withinMs?: number
}

export interface GrpcServerOptions {
  /** By path: `/package.Service/Method`. */
  methods: Readonly<Record<string, GrpcMethod>>
  logger: Logger
  metrics: Metrics
  tls?: Tls
  trustedProxies?: BlockList | undefined
  limits?: Partial<HttpLimits>
}

export interface GrpcServer extends AsyncDisposable {
  /** Returns where it listens. Throws `config_invalid` for an address beyond this machine without TLS. */
  listen(address: { host: string; port: number }): Promise<string>
}

/** Calls at once on one connection. Envoy opens another one when it has more. */
const mostStreams = 1000
const mostMetadataBytes = 16_384

/**
 * A server of gRPC over HTTP/2, with limits on all that a caller can hold open (decision 79). It understands no compression, and refuses what
 * it cannot bound before reading it.
 */
export function grpcServer(options: GrpcServerOptions): GrpcServer {
  const { methods, logger, metrics, tls, trustedProxies } = options
  const limits = { ...httpLimits, ...options.limits }
  const requests = metrics.counter('grpc_requests_total', 'Calls over gRPC that were answered', ['method', 'status'])
  const sessions = new Set<ServerHttp2Session>()
  const verified = new WeakSet<object>()
  /** Calls that last until this server stops. */
  const endless = new Set<ServerHttp2Stream>()
  const server = boundedHttp2(tls, limits, trustedProxies)

  server.on('session', (session: ServerHttp2Session) => {
    sessions.add(session)
    const unproved = setTimeout(() => {
      if (!verified.has(session)) session.destroy()
    }, limits.headersMs).unref()
    session.once('close', () => {
      clearTimeout(unproved)
      sessions.delete(session)
    })
    session.on('error', () => session.destroy())
  })
  // Without a listener, a client that breaks off would end the process.
  server.on('sessionError', () => undefined)
  server.on('stream', (stream, headers, _, rawHeaders) => {
    stream.on('error', () => undefined)
    void answer(stream, { ...headers }, rawHeaders as unknown as string[])
  })

  async function answer(
    stream: ServerHttp2Stream,
    { ':path': path = '', ':method': verb, 'content-type': type = '' }: Record<string, unknown>,
    metadata: RawHeaders,
  ): Promise<void> {
    const method = typeof path === 'string' && Object.hasOwn(methods, path) ? methods[path] : undefined
    const name = method === undefined ? 'unknown' : String(path)
    const end = (status: GrpcStatus, message?: Uint8Array) => {
      requests.inc({ method: name, status: String(status) })
      reply(stream, status, message)
    }
    if (verb !== 'POST' || !/^application\/grpc(\+proto)?$/.test(String(type))) return void stream.destroy()
    if (method === undefined) return end(grpcStatus.unimplemented)
    const { session } = stream
    const call: GrpcCall = {
      metadata,
      peer: plain(session?.socket.remoteAddress ?? ''),
      // The stream is still needed for the answer.
      messages: messagesIn(stream.iterator({ destroyOnReturn: false }), method.mostBytes, metadata),
      callerVerified() {
        if (session !== undefined) verified.add(session)
      },
      hangUp() {
        if (session !== undefined && !verified.has(session)) session.destroy()
      },
    }
    const late = timer(stream, method.withinMs, () => end(grpcStatus.deadlineExceeded))
    try {
      const message = await method.handle(call)
      end(grpcStatus.ok, message)
    } catch (error) {
      if (errorCode(error) === 'internal' && !stream.destroyed)
        logger.error({ err: error, method: name }, 'a call over gRPC failed')
      end(statusOf(error))
    } finally {
      clearTimeout(late)
    }
  }

  function timer(stream: ServerHttp2Stream, ms: number | undefined, late: () => void): NodeJS.Timeout | undefined {
    if (ms !== undefined) return setTimeout(late, ms).unref()
    endless.add(stream)
    stream.once('close', () => endless.delete(stream))
    return undefined
  }

  return {
    async listen({ host, port }) {
      const own = host === 'localhost' ? '127.0.0.1' : host
      assertListenerAllowed(own, tls)
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, own, () => {
          server.off('error', reject)
          resolve()
        })
      })
      const { address, family, port: bound } = server.address() as AddressInfo
      return `http${typeof tls === 'object' ? 's' : ''}://${family === 'IPv6' ? `[${address}]` : address}:${bound}`
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => {
        if (server.listening) server.close(() => resolve())
        else resolve()
      })
      for (const stream of endless) reply(stream, grpcStatus.unavailable)
      for (const session of sessions) session.close()
      const cut = setTimeout(() => cutConnections(server), limits.graceMs)
      await closed.finally(() => clearTimeout(cut))
    },
  }
}

function boundedHttp2(tls: Tls, limits: HttpLimits, trusted: BlockList | undefined): Http2Server | Http2SecureServer {
  const bounds = {
    settings: { maxConcurrentStreams: mostStreams, maxHeaderListSize: mostMetadataBytes, enableConnectProtocol: false },
    maxSessionInvalidFrames: 100,
    // Envoy gives up its question when its client leaves. One client that comes and goes must not end the connection for all (Node: 33 a second).
    ...{ streamResetBurst: 100_000, streamResetRate: 100_000 },
  }
  const server =
    typeof tls === 'object'
      ? createSecureServer({
          ...bounds,
          ...{ cert: tls.certificate, key: tls.key, minVersion: 'TLSv1.2', handshakeTimeout: limits.headersMs },
        })
      : createServer(bounds)
  server.maxConnections = limits.maxConnections
  shareConnections(server, limits.maxConnectionsOfOne, trusted)
  return server
}

/** How long a caller may take to end a call that has its answer, ms. A reset at once could overtake the status. */
const lingerMs = 1000

/** Ends a call. What its caller still sends is not read. */
function reply(stream: ServerHttp2Stream, status: GrpcStatus, message?: Uint8Array): void {
  // `respond` would throw on a stream that its caller has reset.
  if (stream.closed || stream.destroyed || stream.headersSent) return
  stream.respond(
    { ':status': 200, 'content-type': 'application/grpc', 'grpc-accept-encoding': 'identity' },
    { waitForTrailers: true },
  )
  stream.once('wantTrailers', () => {
    stream.sendTrailers({ 'grpc-status': String(status) })
    const over = setTimeout(() => stream.close(), lingerMs).unref()
    stream.once('close', () => clearTimeout(over))
  })
  if (message === undefined) stream.end()
  else stream.end(frame(message))
}
