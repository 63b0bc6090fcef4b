import { timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { encodeBase64url, sha256 } from '@bailiwick/credentials'
import { errorCode } from '@bailiwick/errors'
import { TypedMessages } from '@bailiwick/kit'
import type { Agent } from '../agent.ts'
import { wholeOf } from '../sidecar/answers.ts'
import { acceptAt, onlyOfUser } from '../sidecar/loopback.ts'
import { relayPlace } from '../sidecar/relay-place.ts'
import { Cancelling } from './cancelling.ts'
import { StartupReader, StartupRefused } from './startup.ts'
import { upgradingFetch } from './upgrading-fetch.ts'

export interface PostgresOptions {
  agent: Pick<Agent, 'fetch'>
  /** The database at the gateway, without a slash at the end: `https://gateway.example/postgres/orders`. */
  address: string
  /** The grants to try for each connection, read anew each time. The first one that covers the connection counts. */
  grants: () => readonly string[]
  random: (n: number) => Uint8Array
  port?: number
  /** The password that clients must give; 24 random bytes if left out. */
  password?: string
  /** Answers only programs of this user, where the system names the user of a connection (Linux). Default: programs of every user. */
  user?: number | undefined
}

export interface PostgresListener extends AsyncDisposable {
  readonly port: number
  /** A program with this password acts as the agent. */
  readonly password: string
  /** For clients that need no other address: a connection string with the password. */
  readonly url: string
  /** Takes a connection that came another way. The caller has seen to whose it is. */
  accept(socket: Socket): void
}

const mostClients = 64
/** How long a client may take to close its side once its connection is over. */
const lingerMs = 5000

/**
 * Serves a database behind the gateway to clients of PostgreSQL on this machine. Each connection is one request to the gateway, with the
 * agent's credential and a proof, and is decided there. The client needs the password, and holds no credential.
 */
export async function listenPostgres(options: PostgresOptions): Promise<PostgresListener> {
  const { random, port = 0, user, password = encodeBase64url(random(24)) } = options
  const cancels = new Map<string, Cancelling>()
  const clients = new Set<Socket>()
  const server = createServer({ noDelay: true })
  onlyOfUser(server, user)
  server.on('connection', (socket) => {
    if (socket.destroyed) return
    clients.add(socket)
    socket.on('error', () => socket.destroy()).once('close', () => clients.delete(socket))
    serve(socket, { ...options, password }, cancels).catch((error: unknown) => refuse(socket, error))
  })
  server.maxConnections = mostClients
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const { port: bound } = server.address() as AddressInfo
  return {
    ...{ port: bound, password, url: `postgresql://agent:${password}@127.0.0.1:${bound}?sslmode=disable` },
    accept: (socket) => acceptAt(server, socket),
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

/** Why a client gets no connection, in PostgreSQL's form: a SQLSTATE code and a text. */
class Denied extends Error {
  readonly code: string

  constructor(code: string, text: string) {
    super(text)
    this.code = code
  }
}

async function serve(
  socket: Socket,
  options: PostgresOptions & { password: string },
  cancels: Map<string, Cancelling>,
): Promise<void> {
  const reader = new StartupReader(socket)
  const startup = await reader.read()
  if ('cancels' in startup) {
    const { pid, key } = startup.cancels
    cancels.get(`${pid} ${key}`)?.cancel()
    socket.end()
    return
  }
  if (!isSame(await reader.password(), options.password)) throw new Denied('28P01', 'password authentication failed')
  const left = new AbortController()
  socket.once('close', () => left.abort())
  reader.release()
  using gateway = await connected(startup.parameters, options, left.signal)
  const own = Buffer.from(options.random(8))
  const cancelling = new Cancelling()
  const name = `${own.readInt32BE(0)} ${own.readInt32BE(4)}`
  cancels.set(name, cancelling)
  try {
    // AuthenticationOk, and BackendKeyData of this connection's own. The gateway sends what follows them.
    socket.write(Buffer.concat([Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0]), Buffer.from([0x4b, 0, 0, 0, 12]), own]))
    const sent = pipeline(socket, cancelling, gateway.connection).catch(() => undefined)
    await receive(gateway.connection, socket)
    socket.end()
    setTimeout(() => socket.destroy(), lingerMs).unref()
    await sent
  } finally {
    cancels.delete(name)
  }
}

/** Passes on what the gateway sends. If that ends between two messages, tells the client why no answer comes. */
async function receive(connection: Duplex, socket: Socket): Promise<void> {
  const messages = new TypedMessages()
  try {
    for await (const chunk of connection) {
      messages.read(chunk, {})
      if (!socket.write(chunk)) await Promise.race([once(socket, 'drain'), once(socket, 'close')])
      if (socket.destroyed) return
    }
  } catch {
    // The stream was cut.
  }
  if (messages.isBetween)
    socket.write(fatal('57P01', 'The connection is over: it was ended, or its time or the task’s budget was.'))
}

interface Gateway extends Disposable {
  readonly connection: Duplex
}

/** Parameters that drivers send by themselves. The gateway sets them itself, so they are dropped here. */
const left: ReadonlySet<string> = new Set(['user', 'application_name', 'fallback_application_name'])

async function connected(
  parameters: ReadonlyMap<string, string>,
  { agent, address, grants }: PostgresOptions,
  signal: AbortSignal,
): Promise<Gateway> {
  const asked = [...parameters].filter(
    // A client that names no database is sent to the one with its user's name.
    ([name, value]) => !left.has(name) && !(name === 'database' && value === parameters.get('user')),
  )
  const query = asked.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&')
  let connection: Duplex | undefined
  const via = upgradingFetch('postgresql', (opened) => {
    connection = opened.on('error', () => opened.destroy())
  })
  const place = relayPlace({
    ...{ address, grants, mostBytes: 0, patienceMs: 0 },
    agent: { fetch: (url, init, call) => agent.fetch(url, init, { ...call, via }) },
  })
  const rest = query === '' ? '' : `?${query}`
  const answer = await place.exchange({ method: 'GET', headers: [], body: Buffer.alloc(0) }, rest, signal)
  const opened = connection
  if (opened !== undefined) return { connection: opened, [Symbol.dispose]: () => opened.destroy() }
  throw deniedBy(answer.status, (await wholeOf(answer.body)).toString())
}

/** Writes a query that has only one reading. */
const encode = (text: string): string =>
  encodeURIComponent(text).replaceAll('%2F', '/').replaceAll('%3A', ':').replaceAll('%2C', ',')

function deniedBy(status: number, text: string): Denied {
  try {
    const { code, title, detail } = JSON.parse(text) as Record<string, unknown>
    const why = [title, detail].filter((each) => typeof each === 'string').join(': ')
    return new Denied(status < 500 ? '28000' : '08006', `${why} (${String(code)})`)
  } catch {
    return new Denied('08006', `the gateway answered ${status}`)
  }
}

function refuse(socket: Socket, error: unknown): void {
  if (socket.destroyed) return
  if (error instanceof Denied) socket.end(fatal(error.code, error.message))
  else if (error instanceof StartupRefused) socket.end(fatal('08P01', error.message))
  else socket.end(fatal('08006', `no connection to the gateway (${errorCode(error)})`))
  setTimeout(() => socket.destroy(), lingerMs).unref()
}

/** An ErrorResponse. */
function fatal(code: string, text: string): Buffer {
  const plain = text.replaceAll('\0', '')
  const body = Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${plain}\0\0`)
  const head = Buffer.from('E\0\0\0\0', 'latin1')
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

/** Compares in constant time, so the time gives nothing of the password away. */
const isSame = (one: string, other: string): boolean =>
  timingSafeEqual(Buffer.from(sha256(one)), Buffer.from(sha256(other)))
