import { type IncomingMessage, request as open } from 'node:http'
import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import { type Duplex, pipeline } from 'node:stream'
import { type Refused, ServiceError, toProblem } from '@bailiwick/errors'
import { type RequestHead, readHead } from './http2-head.ts'

const { NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = constants

/** Those of `HttpLimits` that the reader of an answer has. */
interface AnswerLimits {
  /** The limit for each part of an answer. */
  silenceMs: number
  /** The limit for the rest of an answer that is over. */
  answerMs: number
}

export interface StreamOptions {
  rawHeaders: readonly string[]
  /** A connection for this request alone; undefined if there is none left. */
  connect: () => Duplex | undefined
  limits: AnswerLimits
  /** Called if the stream carries no request that has a single reading. */
  onFault: () => void
}

/**
 * Sends one request of HTTP/2 as one of HTTP/1.1, on a connection of its own, and its answer back. So a body that was framed to hide a second
 * request has nowhere to put it, and all rules for requests hold as they are. An answer that breaks off resets the stream.
 */
export function serveStream(stream: ServerHttp2Stream, { rawHeaders, connect, limits, onFault }: StreamOptions): void {
  stream.on('error', () => undefined)
  if (stream.closed || stream.destroyed) return
  const refuse = (refused: Refused) => {
    onFault()
    sendRefused(stream, refused, limits)
  }
  const head = readHead(rawHeaders)
  if ('refused' in head) return void refuse(head)
  const connection = connect()
  if (connection === undefined) return void stream.close(NGHTTP2_REFUSED_STREAM)
  try {
    const request = open({
      ...{ method: head.method, path: head.target, headers: framed(head, !stream.endAfterHeaders) },
      // An API's own head has up to 16 KiB, and the server adds fields to it.
      maxHeaderSize: 65_536,
      // Without an agent, it is used for this request alone.
      createConnection: () => connection,
    })
    request.on('error', () => {
      if (!stream.headersSent) stream.close(NGHTTP2_INTERNAL_ERROR)
    })
    request.on('continue', () => {
      if (isUnanswered(stream)) stream.additionalHeaders({ ':status': 100 })
    })
    request.on('response', (response) => void answer(stream, response, limits))
    stream.once('close', () => request.destroy())
    if (stream.endAfterHeaders) {
      stream.resume()
      request.end()
    } else {
      request.flushHeaders()
      // What fails here is known from the request or the stream.
      pipeline(bodyOf(stream, refuse), request, () => undefined)
    }
  } catch {
    connection.destroy()
    refuse({ refused: 'request_malformed', detail: 'a field or a path that HTTP/1.1 does not have' })
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
async function* bodyOf(stream: ServerHttp2Stream, refuse: (refused: Refused) => void): AsyncGenerator<Buffer> {
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
    refuse({ refused: 'trailers_forbidden', detail: 'the body' })
    throw new ServiceError('trailers_forbidden')
  }
  if (held !== undefined) yield held
}

const isUnanswered = (stream: ServerHttp2Stream): boolean => !(stream.headersSent || stream.closed || stream.destroyed)

/** Never rejects. */
async function answer(stream: ServerHttp2Stream, response: IncomingMessage, limits: AnswerLimits): Promise<void> {
  if (!isUnanswered(stream)) return void response.destroy()
  try {
    stream.respond(headersOf(response))
  } catch {
    // A status or a field that HTTP/2 does not have. In a listener, the error would end the process.
    response.destroy()
    return sendRefused(stream, { refused: 'internal', detail: '' }, limits)
  }
  response.once('close', () => cutAfter(stream, limits.answerMs))
  try {
    if (stream.writableEnded) response.resume()
    else await pass(stream, response, limits)
    endRequest(stream)
  } catch {
    cut(stream)
  }
}

/**
 * Passes the body on part by part. It reads the next part once this one has left, so a slow client slows down the source. Each
 * part must leave in time.
 */
async function pass(stream: ServerHttp2Stream, response: IncomingMessage, { silenceMs }: AnswerLimits): Promise<void> {
  for await (const part of response) {
    const late = setTimeout(() => cut(stream), silenceMs)
    await new Promise<void>((resolve, reject) => {
      stream.write(part, (error) => (error ? reject(error) : resolve()))
    }).finally(() => clearTimeout(late))
  }
  stream.end()
}

/**
 * Resets a stream at once, so that the part that was sent does not pass for the whole. `close` would send its end before, and wait for a client
 * that reads no frame.
 */
function cut(stream: ServerHttp2Stream): void {
  stream.destroy(new Error('cut'))
}

function cutAfter(stream: ServerHttp2Stream, ms: number): void {
  const late = setTimeout(() => cut(stream), ms)
  stream.once('close', () => clearTimeout(late))
}

/** RFC 9113 §8.1: an answer was complete before its request was. */
function endRequest(stream: ServerHttp2Stream): void {
  if (stream.readableEnded || stream.endAfterHeaders) return
  // What has arrived must be read, or Node would keep the stream.
  stream.resume()
  stream.close(NGHTTP2_NO_ERROR)
}

/** Fields about a connection (RFC 9113 §8.2.2). The connection in memory is not the client's. */
const ofConnection: ReadonlySet<string> = new Set([
  ...['connection', 'http2-settings', 'keep-alive', 'proxy-connection', 'te', 'transfer-encoding', 'upgrade'],
])

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

/** Answers by a problem document. The other streams of the connection may be another agent's, and go on. */
function sendRefused(stream: ServerHttp2Stream, { refused, detail }: Refused, { answerMs }: AnswerLimits): void {
  if (!isUnanswered(stream)) return
  const problem = toProblem(new ServiceError(refused, detail === '' ? undefined : detail))
  const body = Buffer.from(JSON.stringify(problem))
  stream.respond({
    ...{ ':status': problem.status, 'content-type': 'application/problem+json' },
    ...{ 'content-length': body.length, 'cache-control': 'no-store' },
  })
  if (!stream.writableEnded) stream.end(body)
  stream.resume()
  stream.once('finish', () => endRequest(stream))
  cutAfter(stream, answerMs)
}
