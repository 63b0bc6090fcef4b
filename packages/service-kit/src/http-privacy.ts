import type { FastifyRequest } from 'fastify'
import { isLoopback } from './listener.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** TLS is ended in front of the listener, and nobody can go around that. */
    tlsTerminated: boolean
  }
}

/**
 * Whether nobody on a network can have read the request: it came over TLS, ended here or in front, or from this machine. A
 * secret that anything else brought is not taken: whoever saw it could bring it again.
 */
export function isConfidential(request: FastifyRequest): boolean {
  const { socket, server, headers } = request
  if ('encrypted' in socket) return true
  const forwarded = headers['x-forwarded-proto']
  if (server.tlsTerminated) return forwarded === undefined || forwarded === 'https'
  return isLocal(request)
}

/** The peer is on this machine (a Unix socket has no address) and no proxy says that it speaks for somebody else. */
export function isLocal({ socket, headers }: FastifyRequest): boolean {
  const forwarded = ['x-forwarded-for', 'x-forwarded-proto', 'forwarded'].some((name) => headers[name] !== undefined)
  return !forwarded && (socket.remoteAddress === undefined || isLoopback(socket.remoteAddress))
}
