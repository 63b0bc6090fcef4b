import type { FastifyRequest } from 'fastify'
import { isLoopback } from './listener.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** TLS is terminated in front of the listener, and no client can bypass that. */
    tlsTerminated: boolean
  }
}

/**
 * Whether the request cannot have been read on a network: it came over TLS, terminated here or in front, or from this machine. A secret
 * that arrived in any other way is refused, because an eavesdropper could present it again.
 */
export function isConfidential(request: FastifyRequest): boolean {
  const { socket, server, headers } = request
  if ('encrypted' in socket) return true
  const forwarded = headers['x-forwarded-proto']
  if (server.tlsTerminated) return forwarded === undefined || forwarded === 'https'
  return isLocal(request)
}

/** The peer is on this machine (a Unix socket has no address), and no proxy says that it forwards for another client. */
export function isLocal({ socket, headers }: FastifyRequest): boolean {
  const forwarded = ['x-forwarded-for', 'x-forwarded-proto', 'forwarded'].some((name) => headers[name] !== undefined)
  return !forwarded && (socket.remoteAddress === undefined || isLoopback(socket.remoteAddress))
}
