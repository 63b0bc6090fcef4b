import { timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import {
  acceptAt,
  type FoundPlace,
  mostConnections,
  onlyOfUser,
  problemAnswer,
  serveAt,
  writeAnswer,
} from '@bailiwick/agent/sidecar'
import { encodeBase64url, sha256 } from '@bailiwick/credentials'
import type { RandomSource } from '@bailiwick/kit'
import type { RunAuthority } from './run-authority.ts'
import { type Site, siteAt } from './sites.ts'
import {
  originOf,
  proxiedTargetOf,
  type RefusedTarget,
  type Target,
  type TunnelEnd,
  tunnelEndOf,
  tunnelledTargetOf,
} from './targets.ts'

export interface ProxyOptions {
  sites: readonly Site[]
  /** Speaks for the hosts of `sites` with `https:`. */
  authority: RunAuthority
  random: RandomSource
  /** Only programs of this user are answered, where the system says whose a connection is. */
  user?: number | undefined
  /** Called for each origin that is refused. */
  onRefused: (origin: string) => void
  /** How long a connection may take to send its request, and how long it may be idle after an answer, in ms. */
  quietMs?: number
}

export interface RunProxy extends AsyncDisposable {
  /** The address, with the secret of this run as its password. */
  readonly url: string
  /** Takes a connection that came another way. The caller has seen to whose it is. */
  accept(socket: Socket): void
}

const user = 'bailiwick'
const longestQuietMs = 60_000

/** No real program sends a longer request line or longer fields. A silent connection must not keep its place. */
const limitsOf = (quietMs: number) => ({
  ...{ maxHeaderSize: 64 * 1024, insecureHTTPParser: false },
  ...{ headersTimeout: quietMs, keepAliveTimeout: quietMs, connectionsCheckingInterval: Math.min(quietMs, 5000) },
})

interface Tunnel extends TunnelEnd {
  readonly scheme: 'http' | 'https'
}

/**
 * An HTTP proxy (RFC 9110 §3.7, §9.3.6) for one program. It opens no connection and resolves no name: each request that it answers is answered
 * by an entry of the gateway. A tunnel ends here, with a certificate of the run's own authority.
 *
 * The adversary is the program, which wants to reach something else or to be read in two ways, and each other program that finds the port. It
 * needs the secret of the run, and where the system tells, the run's user.
 */
export async function listenProxy(options: ProxyOptions): Promise<RunProxy> {
  const secret = encodeBase64url(options.random(24))
  const front = new ProxyFront(options, `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`)
  const port = await front.listen()
  return {
    url: `http://${user}:${secret}@127.0.0.1:${port}`,
    accept: (socket) => front.accept(socket),
    [Symbol.asyncDispose]: () => front[Symbol.asyncDispose](),
  }
}

class ProxyFront implements AsyncDisposable {
  readonly #options: ProxyOptions
  readonly #expected: Buffer
  readonly #tunnels = new WeakMap<Socket, Tunnel>()
  readonly #sockets = new Set<Socket>()
  readonly #quietMs: number
  readonly #server: Server
  /** It listens nowhere: tunnels are handed to it. */
  readonly #inTunnel: Server

  constructor(options: ProxyOptions, expected: string) {
    this.#options = options
    this.#expected = Buffer.from(sha256(expected))
    this.#quietMs = options.quietMs ?? longestQuietMs
    const limits = limitsOf(this.#quietMs)
    this.#server = createServer(limits, (request, response) => this.#proxied(request, response))
    this.#inTunnel = createServer(limits, (request, response) => this.#tunnelled(request, response))
    // Node.js begins with this event to end the connections that are late.
    this.#inTunnel.emit('listening')
    this.#server.maxConnections = mostConnections
    onlyOfUser(this.#server, options.user)
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    this.#server.on('connect', (request, socket, head) => this.#connect(request, socket as Socket, head))
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return (this.#server.address() as AddressInfo).port
  }

  accept(socket: Socket): void {
    acceptAt(this.#server, socket)
  }

  #proxied(request: IncomingMessage, response: ServerResponse): void {
    this.#answer(this.#secretFault(request) ?? proxiedTargetOf(request), request, response)
  }

  #tunnelled(request: IncomingMessage, response: ServerResponse): void {
    const tunnel = this.#tunnels.get(request.socket)
    if (tunnel === undefined) response.destroy()
    else this.#answer(tunnelledTargetOf(request, tunnel.scheme, tunnel), request, response)
  }

  #answer(target: Target | RefusedTarget, request: IncomingMessage, response: ServerResponse): void {
    const found = 'code' in target ? target : this.#find(target, request)
    const done = 'code' in found ? writeAnswer(response, refusalOf(found)) : serveAt(found, request, response)
    done.catch(() => response.destroy())
  }

  #find({ origin, path }: Target, { headers }: IncomingMessage): FoundPlace | RefusedTarget {
    if (/websocket/i.test(headers.upgrade ?? ''))
      return { code: 'header_forbidden', detail: 'Upgrade: no WebSocket passes this proxy' }
    return siteAt(this.#options.sites, origin, path) ?? this.#notServed(origin)
  }

  #connect(request: IncomingMessage, socket: Socket, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    const tunnel = this.#secretFault(request) ?? this.#tunnelFor(request)
    if ('code' in tunnel) refuseTunnel(socket, tunnel)
    else this.#open(tunnel, socket, head)
  }

  #tunnelFor(request: IncomingMessage): Tunnel | RefusedTarget {
    const end = tunnelEndOf(request)
    if ('code' in end) return end
    const isServed = (origin: string) => this.#options.sites.some((site) => site.origin === origin)
    const scheme = (['https', 'http'] as const).find((each) => isServed(originOf(each, end)))
    if (scheme === undefined) return this.#notServed(originOf(end.port === 80 ? 'http' : 'https', end))
    return { ...end, scheme }
  }

  /** A tunnel ends here. */
  #open(tunnel: Tunnel, socket: Socket, head: Buffer): void {
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
    if (head.length > 0) socket.unshift(head)
    if (tunnel.scheme === 'http') {
      this.#begin(socket, tunnel)
      return
    }
    const { host } = tunnel
    const secure = new TLSSocket(socket, {
      isServer: true,
      ALPNProtocols: ['http/1.1'],
      // Without a name, and for another one than the tunnel's, there is no certificate, and the handshake fails.
      SNICallback: (name, found) =>
        found(null, name.toLowerCase() === host ? this.#options.authority.contextOf(host) : undefined),
    })
    const late = setTimeout(() => secure.destroy(), this.#quietMs)
    secure.on('error', () => secure.destroy())
    secure.once('close', () => {
      clearTimeout(late)
      socket.destroy()
    })
    secure.once('secure', () => {
      clearTimeout(late)
      this.#begin(secure, tunnel)
    })
  }

  #begin(socket: Socket, tunnel: Tunnel): void {
    this.#tunnels.set(socket, tunnel)
    this.#inTunnel.emit('connection', socket)
  }

  /** Compares in a time that says nothing of the secret. */
  #secretFault({ headers }: IncomingMessage): RefusedTarget | undefined {
    const given = (headers['proxy-authorization'] ?? '').replace(/^basic /i, 'Basic ')
    return timingSafeEqual(Buffer.from(sha256(given)), this.#expected) ? undefined : { code: 'proxy_secret_missing' }
  }

  #notServed(origin: string): RefusedTarget {
    this.#options.onRefused(origin)
    const hosts = [...new Set(this.#options.sites.map((site) => `${site.origin}${site.path}`))]
    return { code: 'host_not_served', detail: `${origin}. This run has: ${hosts.join(', ')}` }
  }

  /** Cuts all that is open: the task is over. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#inTunnel.close()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }
}

function refusalOf({ code, detail }: RefusedTarget) {
  const challenge = code === 'proxy_secret_missing' ? ['proxy-authenticate', 'Basic realm="bailiwick agent run"'] : []
  return problemAnswer(code, detail, challenge)
}

function refuseTunnel(socket: Socket, refused: RefusedTarget): void {
  const { status, headers, body } = refusalOf(refused)
  const content = Buffer.from(body as Uint8Array)
  const fields = [...headers, 'content-length', String(content.length), 'connection', 'close']
  const lines = fields.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${fields[at + 1]}`] : []))
  socket.end(Buffer.concat([Buffer.from([`HTTP/1.1 ${status} Refused`, ...lines, '', ''].join('\r\n')), content]))
}
