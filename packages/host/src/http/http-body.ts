import { Readable } from 'node:stream'
import { ServiceError } from '@bailiwick/errors'
import { readStrictJson } from '@bailiwick/kit'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { parseForm } from './form.ts'

/** The media types of a body. A route names those that it accepts in `config.accepts`; by default it accepts JSON. */
export type MediaType = 'application/json' | 'application/x-www-form-urlencoded' | 'application/jose'

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * Media types that the route accepts. Default: `['application/json']`. Empty: it accepts no body. `anything` is for a standard that
     * names no type: the bytes are in `rawBody`, the header is ignored, and there is no `body`.
     */
    accepts?: readonly MediaType[] | 'anything'
    /** The error for a body of another type, for a standard that requires it. Default: `content_type_unsupported` (415). */
    otherTypesAre?: 'request_malformed'
  }
  interface FastifyRequest {
    /** The body's bytes as received, for digests and signatures; undefined when there was no body. */
    rawBody: Buffer | undefined
  }
}

type Read = { ok: true; value: unknown } | { ok: false; code: ServiceError['code']; detail: string }

/** Makes the server read bodies strictly, each route only those of its media types, and keep their bytes. */
export function readBodies(app: FastifyInstance, { bigIntegers = false }: { bigIntegers?: boolean } = {}): void {
  const readers: Record<MediaType, (bytes: Buffer, maxBytes: number) => Read> = {
    'application/json': (bytes, maxBytes) => readStrictJson(bytes, { maxBytes, bigIntegers }),
    'application/x-www-form-urlencoded': (bytes) => parseForm(bytes),
    'application/jose': readJose,
  }
  app.decorateRequest('rawBody', undefined)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (request, bytes: Buffer, done) => {
    if (!request.is404) request.rawBody = bytes
    done(null)
  })
  for (const [mediaType, read] of Object.entries(readers)) {
    app.addContentTypeParser(mediaType, { parseAs: 'buffer' }, (request, bytes: Buffer, done) => {
      if (request.is404) return done(null)
      request.rawBody = bytes
      const body = read(bytes, request.routeOptions.bodyLimit ?? bytes.length)
      if (body.ok) done(null, body.value)
      else done(new ServiceError(body.code, body.detail))
    })
  }
  // Runs before any byte of the body is read.
  app.addHook('preParsing', async (request, _reply, payload) => {
    checkMediaType(request)
    return request.headers['transfer-encoding'] === undefined
      ? payload
      : inLargerParts(payload, request.routeOptions.bodyLimit)
  })
}

function checkMediaType(request: FastifyRequest): void {
  if (request.is404) return
  const { accepts: accepted = ['application/json'], otherTypesAre = 'content_type_unsupported' } =
    request.routeOptions.config
  // Go's http.Post("") sends an empty Content-Type, which fastify refuses before it looks for a reader.
  if (accepted === 'anything') request.raw.headers['content-type'] = 'application/octet-stream'
  if (!hasBody(request)) return
  const encoding = request.headers['content-encoding']
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new ServiceError('content_type_unsupported', 'the body is encoded')
  }
  if (accepted === 'anything') return
  const given = mediaTypeOf(request.headers['content-type'])
  if (!accepted.some((mediaType) => mediaType === given)) {
    const taken = accepted.length === 0 ? 'no body' : accepted.join(', ')
    throw new ServiceError(otherTypesAre, `this route takes ${taken}`)
  }
}

function hasBody({ method, headers }: FastifyRequest): boolean {
  if (method === 'GET' || method === 'HEAD') return false // neither the body nor its type is read
  const length = headers['content-length']
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
}

/** The media type, if its only parameter, if any, says UTF-8: JSON and JOSE have no other encoding, and neither have forms here. */
function mediaTypeOf(contentType: string | undefined): string | undefined {
  const [, type, charset] =
    /^([a-z0-9.+/-]+)[ \t]*(?:;[ \t]*charset="?([a-z0-9-]+)"?[ \t]*)?$/i.exec(contentType ?? '') ?? []
  if (charset !== undefined && charset.toLowerCase() !== 'utf-8') return undefined
  return type?.toLowerCase()
}

/** RFC 7515 §9.2.1: the compact serialization, here of a JWS. `credentials` interprets its content. */
function readJose(bytes: Buffer): Read {
  const text = bytes.toString('latin1')
  if (/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/.test(text)) return { ok: true, value: text }
  return { ok: false, code: 'request_malformed', detail: 'not a JWS in compact serialization' }
}

/**
 * The same bytes. fastify keeps each part of a body as an object of its own: a client that sends chunks of one byte would fill hundreds of
 * times the body's limit, without a credential (V18).
 */
function inLargerParts(payload: Readable, limit = 0): Readable {
  // Once the body is over its limit, fastify no longer listens, and an error that no one hears ends the process.
  return Readable.from(largerParts(payload, limit), { objectMode: false }).on('error', () => undefined)
}

const partBytes = 16_384

/** Beyond the limit nothing is held back, so that fastify refuses it at once. */
async function* largerParts(payload: Readable, limit: number): AsyncGenerator<Buffer> {
  let held = Buffer.alloc(partBytes)
  let sum = 0
  let length = 0
  // Leaving it early must not end the connection, and with it the answer that says why.
  for await (const chunk of payload.iterator({ destroyOnReturn: false })) {
    sum += chunk.length
    if (length > 0 && (sum > limit || length + chunk.length > partBytes)) {
      yield held.subarray(0, length)
      held = Buffer.alloc(partBytes)
      length = 0
    }
    if (sum > limit || chunk.length > partBytes) yield chunk
    else length += chunk.copy(held, length)
  }
  if (length > 0) yield held.subarray(0, length)
}
