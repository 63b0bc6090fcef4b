import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'

declare module 'fastify' {
  interface FastifyRequest {
    /** The address of whoever asks, to be counted by: the peer's, or what trusted proxies say that they heard it from; '' on a Unix socket. */
    caller: string
  }
}

/** A fastify 5 server whose routes have zod schemas. `close`, or `await using`, lets running requests finish, for a while. */
export type HttpServer = FastifyInstance<Server, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>

/** One request to it, and its answer, for hooks and helpers of routes. */
export type HttpRequest = FastifyRequest
export type HttpReply = FastifyReply
