import { timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { encodeBase64url, sha256 } from '@bailiwick/credentials'
import { type ClientAnswer, errorAnswer } from './answers.ts'
import type { Sidecar } from './sidecar.ts'

export interface Loopback extends AsyncDisposable {
  /** The address for the client. Its path is a secret: a program that has it acts as the agent. */
  readonly url: string
}

/** Longest content of a request. */
const mostBytes = 4 * 1024 * 1024

/**
 * Serves a sidecar to programs of this machine, at an address that others cannot guess.
 *
 * Three strangers can reach the port. A web page sends the name or the origin of another host, and is refused by that. A program of another
 * user, and one that looks for open ports, do not know the path, and get 404. A program that can read the client's configuration knows it.
 */
export async function listenLoopback(
  sidecar: Sidecar,
  {
    port = 0,
    random,
    secret = encodeBase64url(random(24)),
  }: { port?: number; random: (n: number) => Uint8Array; secret?: string },
): Promise<Loopback> {
  const path = `/${secret}/mcp`
  const server = createServer((request, response) => {
    serve(sidecar, path, request, response).catch(() => response.destroy())
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const { port: bound } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${bound}${path}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

async function serve(
  sidecar: Sidecar,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = 'GET', url: target = '/', headers, rawHeaders } = request
  const stranger = strangerIn(headers)
  if (stranger !== undefined) return write(response, errorAnswer(403, null, -32000, stranger))
  if (!isSame(target, path)) return write(response, errorAnswer(404, null, -32000, 'There is nothing here'))
  if (!['POST', 'GET', 'DELETE'].includes(method)) return write(response, errorAnswer(405, null, -32000, 'The method'))
  const body = await contentOf(request)
  if (body === undefined) return write(response, errorAnswer(413, null, -32000, 'The message is too long'))
  const left = new AbortController()
  response.on('close', () => left.abort())
  const answer = await sidecar.exchange({ method, headers: rawHeaders, body }, left.signal)
  if (!left.signal.aborted) await write(response, answer)
}

async function write(response: ServerResponse, { status, headers, body }: ClientAnswer): Promise<void> {
  for (let n = 0; n < headers.length; n += 2) response.setHeader(headers[n] ?? '', headers[n + 1] ?? '')
  response.writeHead(status)
  if (body instanceof Uint8Array) return void response.end(body)
  response.flushHeaders() // a stream may say nothing for long
  await pipeline(body, response) // cut here as it was cut there
}

const here = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/

/** The field that names another host than this machine, if one does. */
function strangerIn({ host = '', origin }: IncomingMessage['headers']): string | undefined {
  if (!here.test(host)) return 'Invalid Host'
  if (origin !== undefined && !here.test(origin.replace(/^https?:\/\//, ''))) return 'Invalid Origin'
  return undefined
}

/** Compares in a time that says nothing of the secret. */
const isSame = (one: string, other: string): boolean =>
  timingSafeEqual(Buffer.from(sha256(one)), Buffer.from(sha256(other)))

async function contentOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request) {
    length += chunk.length
    if (length > mostBytes) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
