import { ServiceError } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/host'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Sessions, sessionSeconds } from '../people/sessions.ts'

/** `__Host-`: it cannot have been set by another host, for another path or over a plain connection (RFC 6265bis §4.1.3.2). */
const cookieName = '__Host-bailiwick'

/** Refuses (`origin_forbidden`) requests that a page of another origin sent with this person's cookie. */
export function fromOurPage(origins: readonly string[]) {
  return async ({ headers }: FastifyRequest): Promise<void> => {
    const site = headers['sec-fetch-site']
    if (headers.origin === undefined || !origins.includes(headers.origin)) throw new ServiceError('origin_forbidden')
    if (site !== undefined && site !== 'same-origin') throw new ServiceError('origin_forbidden')
  }
}

/** As `fromOurPage`, for requests that only read: browsers state the origin of such a request only if it is a foreign one. */
export function notFromElsewhere(origins: readonly string[]) {
  return async ({ headers }: FastifyRequest): Promise<void> => {
    const { origin, 'sec-fetch-site': site } = headers
    if (origin !== undefined && !origins.includes(origin)) throw new ServiceError('origin_forbidden')
    if (site !== undefined && site !== 'same-origin') throw new ServiceError('origin_forbidden')
  }
}

/** The session's cookie, if there is exactly one. If there are two, an attacker may have set one. */
export function sessionCookie({ headers }: FastifyRequest): string | undefined {
  const values = (headers.cookie ?? '').split(';').flatMap((pair) => {
    const [name, value, ...more] = pair.trim().split('=')
    return name === cookieName && value !== undefined && more.length === 0 ? [value] : []
  })
  return values.length === 1 ? values[0] : undefined
}

/** A signed-in person counts as a verified caller, not as a stranger, for any request. */
export function knowPeople(http: HttpServer, sessions: Sessions): void {
  http.addHook('onRequest', async (request) => {
    const cookie = sessionCookie(request)
    if (cookie !== undefined && sessions.isOpen(cookie)) request.callerVerified()
  })
}

export function setSessionCookie(reply: FastifyReply, value: string): void {
  setCookie(reply, value, sessionSeconds)
}

export function clearSessionCookie(reply: FastifyReply): void {
  setCookie(reply, '', 0)
}

function setCookie(reply: FastifyReply, value: string, seconds: number): void {
  reply.header('set-cookie', `${cookieName}=${value}; Path=/; Max-Age=${seconds}; Secure; HttpOnly; SameSite=Strict`)
}
