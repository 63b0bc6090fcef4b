import type { Server } from 'node:http'
import { createServer, type ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { serveStream } from './http2-stream.ts'
import { ConnectionEnd } from './memory-connection.ts'

/** Those of `HttpLimits` that a session needs. */
interface SessionLimits {
  headersMs: number
  keepAliveMs: number
  silenceMs: number
  answerMs: number
  maxConnections: number
}

export interface Http2Options {
  limits: SessionLimits
  isTls: boolean
  /** Counts a connection of the server, and destroys one that is too much. */
  admit: (connection: Duplex & { remoteAddress?: string | undefined }) => void
  /** Whether a trusted proxy has this address. Many agents share its connections. */
  isProxy: (address: string | undefined) => boolean
}

/** How many streams of one connection may be at fault: reset by the client, or no request at all. */
const mostFaults = 32

/** What one client may do on one connection. nghttp2 adds its own limits: 8 CONTINUATION frames a head, 1,000 replies that wait. */
const bounds = {
  settings: { maxConcurrentStreams: 100, maxHeaderListSize: 16_384, enableConnectProtocol: false },
  maxSettings: 32,
  /** Frames that no lawful client sends. */
  maxSessionInvalidFrames: mostFaults,
  maxSessionRejectedStreams: mostFaults,
  /** Streams that a client begins and takes back (CVE-2023-44487): so many at once, and so many a second. */
  streamResetBurst: 200,
  streamResetRate: 33,
  /** Routes may send a field twice. */
  strictSingleValueFields: false,
}

/** Lifts the limits that one agent behind a proxy could reach for all others. Faults of the connection itself still end it. */
const boundsOfProxies = {
  ...bounds,
  maxSessionInvalidFrames: 2 ** 32 - 1,
  maxSessionRejectedStreams: 2 ** 32 - 1,
  streamResetBurst: 1_000_000,
  streamResetRate: 1_000_000,
}

/** RFC 9113 §3.4. */
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

const sessionsOf = new WeakMap<Server, Set<ServerHttp2Session>>()

/**
 * Lets a server speak HTTP/2 too: over TLS with clients that choose it (ALPN), in the clear with those that begin with it. Each stream becomes
 * a request of HTTP/1.1 to the same server (decision 78). Call it before the server listens.
 */
export function speakHttp2(server: Server, { limits, isTls, admit, isProxy }: Http2Options): void {
  const event = isTls ? 'secureConnection' : 'connection'
  const [first] = server.listeners(event)
  const serve = first as (connection: Duplex) => void
  server.removeListener(event, serve)
  const http1 = (connection: Duplex) => serve.call(server, connection)
  const [ofClients, ofProxies] = [createServer(bounds), createServer(boundsOfProxies)]
  const http2 = (socket: Socket) => {
    const shared = isProxy(socket.remoteAddress)
    const factory = shared ? ofProxies : ofClients
    factory.once('session', (session) => begin(session, socket, shared))
    factory.emit('connection', socket)
  }
  server.on(event, (socket: Socket) => {
    if (isTls) return (socket as TLSSocket).alpnProtocol === 'h2' ? http2(socket) : http1(socket)
    choose(socket, limits.headersMs, http1, http2)
  })

  const sessions = new Set<ServerHttp2Session>()
  sessionsOf.set(server, sessions)
  let streams = 0
  const begin = (session: ServerHttp2Session, socket: Socket, shared: boolean) => {
    sessions.add(session)
    session.once('close', () => sessions.delete(session))
    const { remoteAddress, remotePort } = socket
    const idle = boundSession(session, socket, limits)
    let faults = 0
    const onFault = () => {
      faults++
      // Requests that are running get their answers.
      if (!shared && faults > mostFaults) session.close()
    }
    const connect = (): ConnectionEnd | undefined => {
      if (streams >= limits.maxConnections) return undefined
      const [near, far] = ConnectionEnd.pair({ remoteAddress, remotePort, isEncrypted: isTls })
      admit(far)
      if (far.destroyed) return undefined
      streams++
      near.once('close', () => streams--)
      idle.waitFor(near)
      http1(far)
      return near
    }
    session.on('stream', (stream, _headers, _flags, rawHeaders) =>
      serveStream(stream, { rawHeaders, connect, limits, onFault }),
    )
  }
}

/** Tells all clients that no further request is taken. Those that were begun are answered. */
export function endSessions(server: Server): void {
  for (const session of sessionsOf.get(server) ?? []) session.close()
}

/** Ends a session on which no request is under way, at the latest when its reader has had the time for what is left of the answers. */
function boundSession(session: ServerHttp2Session, socket: Socket, { keepAliveMs, answerMs }: SessionLimits) {
  let underWay = 0
  let timer: NodeJS.Timeout | undefined
  const wait = () => {
    clearTimeout(timer)
    timer = setTimeout(() => {
      session.close()
      timer = setTimeout(() => {
        session.destroy()
        // The session would wait for what is left of its frames to be read.
        socket.destroy()
      }, answerMs)
    }, keepAliveMs)
  }
  socket.once('close', () => clearTimeout(timer))
  wait()
  return {
    waitFor(connection: ConnectionEnd): void {
      underWay++
      clearTimeout(timer)
      connection.once('close', () => {
        underWay--
        if (underWay === 0 && !socket.destroyed) wait()
      })
    },
  }
}

/** Reads the first bytes of a connection, which say what it speaks. Nothing is lost of them. */
function choose(socket: Socket, ms: number, http1: (socket: Socket) => void, http2: (socket: Socket) => void): void {
  let seen = Buffer.alloc(0)
  const drop = () => socket.destroy()
  const timer = setTimeout(drop, ms)
  const look = () => {
    for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) seen = Buffer.concat([seen, chunk])
    const isBegun = preface.subarray(0, seen.length).equals(seen.subarray(0, preface.length))
    if (isBegun && seen.length < preface.length) return
    settle()
    socket.unshift(seen)
    if (isBegun) http2(socket)
    else http1(socket)
  }
  const settle = () => {
    clearTimeout(timer)
    socket.off('readable', look).off('end', drop).off('error', drop).off('close', settle)
  }
  socket.on('readable', look).on('end', drop).on('error', drop).on('close', settle)
}
