import { type IncomingMessage, request as open } from 'node:http'
import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import { type Duplex, pipeline } from 'node:stream'
import { type Refused, ServiceError, toProblem } from '@bailiwick/errors'
import { type RequestHead, readHead } from './http2-head.ts'

const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = constants

export interface StreamOptions {
  rawHeaders: readonly string[]
  /** A connection for this request alone; undefined if there is none left. */
  connect: () => Duplex | undefined
  /** How long the client may take to read what is left of an answer that is over. */
  answerMs: number
}

/**
 * Sends one request of HTTP/2 as one of HTTP/1.1, on a connection of its own, and its answer back. So a body that was framed to hide a second
 * request has nowhere to put it, and all rules for requests hold as they are. An answer that breaks off resets the stream.
 */
export function serveStream(stream: ServerHttp2Stream, { rawHeaders, connect, answerMs }: StreamOptions): void {
  stream.on('error', () => undefined)
  if (stream.closed || stream.destroyed) return
  const head = readHead(rawHeaders)
  if ('refused' in head) return void refuse(stream, head)
  const connection = connect()
  if (connection === undefined) return void stream.close(NGHTTP2_REFUSED_STREAM)
  try {
    const request = open({
      ...{ method: head.method, path: head.target, headers: framed(head, !stream.endAfterHeaders) },
      // Without an agent, it is used for this request alone.
      createConnection: () => connection,
    })
    request.on('error', () => {
      if (!stream.headersSent) stream.close(NGHTTP2_INTERNAL_ERROR)
    })
    request.on('continue', () => {
      if (!stream.headersSent && !stream.closed) stream.additionalHeaders({ ':status': 100 })
    })
    request.on('response', (response) => answer(stream, response, answerMs))
    stream.once('close', () => request.destroy())
    if (stream.endAfterHeaders) {
      stream.resume()
      request.end()
    } else {
      request.flushHeaders()
      // What fails here is known from the request or the stream.
      pipeline(bodyOf(stream), request, () => undefined)
    }
  } catch {
    connection.destroy()
    refuse(stream, { refused: 'request_malformed', detail: 'a field or a path that HTTP/1.1 does not have' })
  }
}

/** Methods for which no length means no body. */
const bodiless: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE'])

function framed({ method, fields, hasLength }: RequestHead, hasBody: boolean): string[] {
  if (hasLength) return [...fields]
  if (hasBody) return [...fields, 'transfer-encoding', 'chunked']
  return bodiless.has(method) ? [...fields] : [...fields, 'content-length', '0']
}

/** Refuses trailers, and throws before the last part: what follows a body would be in no decision. */
async function* bodyOf(stream: ServerHttp2Stream): AsyncGenerator<Buffer> {
  let hasTrailers = false
  stream.once('trailers', () => {
    hasTrailers = true
  })
  let held: Buffer | undefined
  // Leaving it early must not end the stream, on which an answer may be under way.
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    if (held !== undefined) yield held
    held = chunk
  }
  if (hasTrailers) {
    refuse(stream, { refused: 'trailers_forbidden', detail: 'the body' })
    throw new ServiceError('trailers_forbidden')
  }
  if (held !== undefined) yield held
}

function answer(stream: ServerHttp2Stream, response: IncomingMessage, answerMs: number): void {
  if (stream.headersSent || stream.closed || stream.destroyed) return void response.destroy()
  stream.respond(headersOf(response))
  response.once('close', () => {
    const late = setTimeout(() => stream.close(NGHTTP2_CANCEL), answerMs)
    stream.once('close', () => clearTimeout(late))
  })
  if (stream.writableEnded) {
    response.resume()
    endRequest(stream)
    return
  }
  pipeline(response, stream, (error) => {
    if (error === null || error === undefined) endRequest(stream)
    else if (!stream.closed) stream.close(NGHTTP2_INTERNAL_ERROR)
  })
}

/** RFC 9113 §8.1: an answer was complete before its request was. */
function endRequest(stream: ServerHttp2Stream): void {
  if (stream.readableEnded || stream.endAfterHeaders) return
  // What has arrived must be read, or Node would keep the stream.
  stream.resume()
  stream.close(NGHTTP2_NO_ERROR)
}

/** Without those about the connection in memory. */
const ofConnection: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'transfer-encoding'])

function headersOf({ statusCode = 500, rawHeaders }: IncomingMessage): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = { ':status': statusCode }
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase()
    const value = rawHeaders[at + 1] ?? ''
    if (ofConnection.has(name)) continue
    const before = headers[name]
    headers[name] = before === undefined ? value : [before, value].flat().map(String)
  }
  return headers
}

/** Answers what has no single reading, and takes no further request on the connection. */
function refuse(stream: ServerHttp2Stream, { refused, detail }: Refused): void {
  stream.session?.close()
  if (stream.headersSent || stream.closed || stream.destroyed) return
  const problem = toProblem(new ServiceError(refused, detail))
  const body = Buffer.from(JSON.stringify(problem))
  stream.respond({
    ...{ ':status': problem.status, 'content-type': 'application/problem+json' },
    ...{ 'content-length': body.length, 'cache-control': 'no-store' },
  })
  if (!stream.writableEnded) stream.end(body)
  stream.resume()
  stream.once('finish', () => endRequest(stream))
}
