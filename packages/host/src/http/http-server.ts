import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'

declare module 'fastify' {
  interface FastifyRequest {
    /** The caller's address, used for counting: the peer's, or the address that trusted proxies report; '' on a Unix socket. */
    caller: string
  }
}

/** A fastify 5 server whose routes have zod schemas. `close`, or `await using`, lets running requests finish, within a limit. */
export type HttpServer = FastifyInstance<Server, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>

/** One request to the server, and its response, for hooks and helpers of routes. */
export type HttpRequest = FastifyRequest
export type HttpReply = FastifyReply
