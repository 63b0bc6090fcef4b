import { timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { encodeBase64url, sha256 } from '@bailiwick/credentials'
import type { McpRequest } from '@bailiwick/mcp'
import { type ClientAnswer, errorAnswer } from './answers.ts'
import type { Sidecar } from './sidecar.ts'

export interface Loopback extends AsyncDisposable {
  /** The address for the client. Its path is a secret: a program that has it acts as the agent. */
  readonly url: string
}

/** What is served below one name at the port. */
export interface LocalPlace {
  /** The methods that it knows. */
  readonly methods: ReadonlySet<string>
  /** Longest content of a request. */
  readonly mostBytes: number
  /** Whether there are paths and queries below its name. */
  readonly hasPaths: boolean
  /** Answers one request. `rest`: the target after the name, as it was sent. */
  exchange(request: McpRequest, rest: string, signal: AbortSignal): Promise<ClientAnswer>
}

export interface LoopbackOptions {
  port?: number
  random: (n: number) => Uint8Array
  secret?: string
}

/** Serves a sidecar to programs of this machine, at an address that others cannot guess: `listenPlaces` with one place. */
export async function listenLoopback(sidecar: Sidecar, options: LoopbackOptions): Promise<Loopback> {
  const loopback = await listenPlaces(new Map([['mcp', mcpPlace(sidecar)]]), options)
  return { ...loopback, url: `${loopback.url}/mcp` }
}

/** MCP over streamable HTTP. */
export const mcpPlace = (sidecar: Sidecar): LocalPlace => ({
  methods: new Set(['POST', 'GET', 'DELETE']),
  mostBytes: 4 * 1024 * 1024,
  hasPaths: false,
  exchange: (request, _, signal) => sidecar.exchange(request, signal),
})

/**
 * Serves places, by name, below one secret on a port of this machine. Their addresses are `url`, a slash and the name.
 *
 * Three strangers can reach the port. A web page sends the name or the origin of another host, and is refused by that. A program of another
 * user, and one that looks for open ports, do not know the path, and get 404. A program that can read the client's configuration or its
 * environment knows it.
 */
export async function listenPlaces(
  places: ReadonlyMap<string, LocalPlace>,
  { port = 0, random, secret = encodeBase64url(random(24)) }: LoopbackOptions,
): Promise<Loopback> {
  const find = (target: string) => placeIn(places, secret, target)
  const server = createServer((request, response) => {
    serve(find, request, response).catch(() => response.destroy())
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const { port: bound } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${bound}/${secret}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

interface Found {
  place: LocalPlace
  rest: string
}

function placeIn(places: ReadonlyMap<string, LocalPlace>, secret: string, target: string): Found | undefined {
  const cut = target.indexOf('/', 1)
  if (cut < 0 || !isSame(target.slice(0, cut), `/${secret}`)) return undefined
  const path = target.slice(cut + 1)
  for (const [name, place] of places) {
    if (path === name) return { place, rest: '' }
    const rest = path.slice(name.length)
    if (place.hasPaths && path.startsWith(name) && /^[/?]/.test(rest)) return { place, rest }
  }
  return undefined
}

async function serve(
  find: (target: string) => Found | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = 'GET', url: target = '/', headers, rawHeaders } = request
  const stranger = strangerIn(headers)
  if (stranger !== undefined) return write(response, errorAnswer(403, null, -32000, stranger))
  const found = find(target)
  if (found === undefined) return write(response, errorAnswer(404, null, -32000, 'There is nothing here'))
  const { place, rest } = found
  if (!place.methods.has(method)) return write(response, errorAnswer(405, null, -32000, 'The method'))
  const body = await contentOf(request, place.mostBytes)
  if (body === undefined) return write(response, errorAnswer(413, null, -32000, 'The message is too long'))
  const left = new AbortController()
  response.on('close', () => left.abort())
  const answer = await place.exchange({ method, headers: rawHeaders, body }, rest, left.signal)
  if (!left.signal.aborted) await write(response, answer)
}

async function write(response: ServerResponse, { status, headers, body }: ClientAnswer): Promise<void> {
  for (let n = 0; n < headers.length; n += 2) response.appendHeader(headers[n] ?? '', headers[n + 1] ?? '')
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

async function contentOf(request: IncomingMessage, mostBytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request) {
    length += chunk.length
    if (length > mostBytes) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
