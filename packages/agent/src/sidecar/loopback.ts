import { timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Server as NetServer, Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { encodeBase64url, sha256 } from '@bailiwick/credentials'
import type { McpRequest } from '@bailiwick/mcp'
import { type ClientAnswer, errorAnswer } from './answers.ts'
import { peerUser } from './peer-user.ts'
import type { Sidecar } from './sidecar.ts'

export interface Loopback extends AsyncDisposable {
  /** The address for the client. Its path is a secret: a program that has it acts as the agent. */
  readonly url: string
  /** Takes a connection that came another way. The caller has seen to whose it is. */
  accept(socket: Socket): void
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
  /** Answers only programs of this user, where the system names the user of a connection (Linux). Default: programs of every user. */
  user?: number | undefined
}

/** A program that opens more has the rest closed. It could otherwise keep this process from asking whether its task still lives. */
export const mostConnections = 512

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
 * user, and one that looks for open ports, do not know the path, and get 404; with `user`, one of another user that knows it is cut off. A
 * program that can read the client's configuration or its environment knows it.
 */
export async function listenPlaces(
  places: ReadonlyMap<string, LocalPlace>,
  { port = 0, random, secret = encodeBase64url(random(24)), user }: LoopbackOptions,
): Promise<Loopback> {
  const find = (target: string) => placeIn(places, secret, target)
  const server = createServer((request, response) => {
    serve(find, request, response).catch(() => response.destroy())
  })
  server.maxConnections = mostConnections
  onlyOfUser(server, user)
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const { port: bound } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${bound}/${secret}`,
    accept: (socket) => acceptAt(server, socket),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

/** Connections that arrived at another listener. */
const vouched = new WeakSet<Socket>()

/** Hands a connection that came another way to a server. The caller has seen to whose it is. */
export function acceptAt(server: NetServer, socket: Socket): void {
  vouched.add(socket)
  server.emit('connection', socket)
}

/**
 * Closes connections of other users' programs as they arrive: a silent program would otherwise hold a place.
 * It also closes a connection for which the system names no user.
 */
export function onlyOfUser(server: NetServer, user: number | undefined): void {
  if (user === undefined) return
  server.on('connection', (socket: Socket) => {
    if (!vouched.has(socket) && peerUser(socket) !== user) socket.destroy()
  })
}

export interface FoundPlace {
  readonly place: LocalPlace
  /** The target after the name of the place, as it was sent. */
  readonly rest: string
}

function placeIn(places: ReadonlyMap<string, LocalPlace>, secret: string, target: string): FoundPlace | undefined {
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
  find: (target: string) => FoundPlace | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const stranger = strangerIn(request.headers)
  if (stranger !== undefined) return writeAnswer(response, errorAnswer(403, null, -32000, stranger))
  const found = find(request.url ?? '/')
  if (found === undefined) return writeAnswer(response, errorAnswer(404, null, -32000, 'There is nothing here'))
  return serveAt(found, request, response)
}

/** Reads a request whole, and sends what its place answers. Rejects if the client has gone. */
export async function serveAt(
  { place, rest }: FoundPlace,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = 'GET', rawHeaders } = request
  if (!place.methods.has(method)) return writeAnswer(response, errorAnswer(405, null, -32000, 'The method'))
  const body = await contentOf(request, place.mostBytes)
  if (body === undefined) return writeAnswer(response, errorAnswer(413, null, -32000, 'The message is too long'))
  const left = new AbortController()
  response.on('close', () => left.abort())
  const answer = await place.exchange({ method, headers: rawHeaders, body }, rest, left.signal)
  if (!left.signal.aborted) await writeAnswer(response, answer)
}

/** Resolves once all of an answer was sent. */
export async function writeAnswer(response: ServerResponse, { status, headers, body }: ClientAnswer): Promise<void> {
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
