import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { ServiceError } from '@bailiwick/errors'
import { type HttpReply, type HttpRequest, httpLimits } from '@bailiwick/host'
import { fieldOf, type Refused } from '@bailiwick/relay'

// What the routes of the gateway ask of a request besides the gate (`checkHead`), which reads its head.

/** Answers end with their grant, not with a clock. */
export const never = 2 ** 31 - 1

/** MCP, "Security Warning": a page of another site must not reach a gateway on this machine. */
export function refuseOrigin(request: HttpRequest, allowed: ReadonlySet<string>): void {
  const { rawHeaders } = request.raw
  const given = rawHeaders.filter((_, n) => n % 2 === 1 && rawHeaders[n - 1]?.toLowerCase() === 'origin')
  if (!given.every((origin) => allowed.has(origin))) throw new ServiceError('origin_forbidden')
}

/** In HTTP/1.0 the end of the connection is the end of an answer, so an answer that was cut would pass for whole. */
export const versionFault = ({ httpVersion }: IncomingMessage): Refused | undefined =>
  httpVersion === '1.1' ? undefined : { refused: 'http_version_forbidden', detail: 'the version' }

/** Whether a request says that a body follows its head. */
export const announcesBody = (rawHeaders: readonly string[]): boolean =>
  fieldOf(rawHeaders, 'transfer-encoding') !== undefined || Number(fieldOf(rawHeaders, 'content-length') ?? 0) > 0

/** The server reads no body of a method that has none, such as GET: it would be left out of what is decided. */
export const bodyUnread: Refused = { refused: 'request_malformed', detail: 'a body that the method does not have' }

/** Why the body cannot be decided on as it was read. */
export function bodyFault({ rawHeaders, rawTrailers }: IncomingMessage, body: Buffer): Refused | undefined {
  if (body.length === 0 && announcesBody(rawHeaders)) return bodyUnread
  return rawTrailers.length > 0 ? { refused: 'trailers_forbidden', detail: 'the body' } : undefined
}

export const asError = ({ refused, detail }: Refused): ServiceError => new ServiceError(refused, detail)

/** Lets a connection be silent until its answer is over: a stream may say nothing for as long as its grant lives. */
export function mayBeSilent({ raw }: HttpRequest, reply: HttpReply): void {
  raw.socket.setTimeout(0)
  reply.raw.once('close', () => raw.socket.setTimeout(httpLimits.silenceMs))
}

/** Aborted when the client has gone, or had gone before. */
export function closed(socket: Duplex): AbortSignal {
  const gone = new AbortController()
  if (socket.destroyed) gone.abort()
  else socket.once('close', () => gone.abort())
  return gone.signal
}
