import type { BlockList } from 'node:net'
import type { Clock, RandomSource } from '@bailiwick/kit'
import { httpServer } from '../http/http.ts'
import type { HttpLimits } from '../http/http-connection.ts'
import type { HttpServer } from '../http/http-server.ts'
import { assertListenerAllowed, listenOperator } from '../http/listener.ts'
import { readTls } from '../http/read-tls.ts'
import { Health } from '../observe/health.ts'
import type { Logger } from '../observe/logger.ts'
import type { Metrics } from '../observe/metrics.ts'
import { observeHealth } from '../observe/observe-health.ts'
import type { TlsSetting } from '../settings/setting-values.ts'
import { type Lobby, openLobby } from './lobby.ts'

/** The settings of a process's servers. A process that does not read an optional one has its default. */
export interface ServerSettings {
  BAILIWICK_HOST: string
  BAILIWICK_PORT: number
  BAILIWICK_TLS: TlsSetting
  BAILIWICK_METRICS: 'loopback' | 'anyone'
  BAILIWICK_PUBLIC_URL?: string | undefined
  BAILIWICK_HOSTS?: readonly string[]
  BAILIWICK_TRUSTED_PROXIES?: BlockList | undefined
  BAILIWICK_STRANGER_REQUESTS_PER_SECOND?: number
}

export interface ServersOptions {
  config: ServerSettings
  clock: Clock
  random: RandomSource
  logger: Logger
  metrics: Metrics
  /** The address whose name callers may use. Default: `publicUrlOf(config)`. */
  publicUrl?: string
  /** Whether callers may use any name: only where all callers get the same answer. */
  anyName?: boolean
  /** Limits of connections and requests, where others than the usual ones fit this process. */
  limits?: Partial<HttpLimits>
  /** Whether the address speaks HTTP/2 too. */
  http2?: boolean
  /** Whether integers of a body beyond 53 bits become bigint. Otherwise such a body is refused. */
  bigIntegers?: boolean
}

/** The servers of one process, without a bus. Add all routes, then call `listen`. Disposing closes the servers; it may be repeated. */
export interface Servers extends AsyncDisposable {
  /** Shown at `/healthz` and `/readyz`, and as metrics. */
  health: Health
  http: HttpServer
  /** For the CLI on this machine. It listens only if `listen` gets a socket. */
  operator: HttpServer
  /** Answers health checks on the address until `listen` is called (`lobby.ts`). */
  openLobby(): Promise<Lobby | undefined>
  /** Listens on the address, which it returns, and then on the operator's socket, if `socketAt` names one for that address. */
  listen(socketAt?: (url: string) => string | undefined): Promise<string>
}

/** The public address of a process that has no installation: the one that its settings name, or its port on this machine. */
export const publicUrlOf = ({
  BAILIWICK_PUBLIC_URL: named,
  BAILIWICK_TLS: tls,
  BAILIWICK_PORT: port,
}: Pick<ServerSettings, 'BAILIWICK_PUBLIC_URL' | 'BAILIWICK_TLS' | 'BAILIWICK_PORT'>): string =>
  named ?? `http${typeof tls === 'object' ? 's' : ''}://localhost:${port}`

/**
 * Opens a process's servers as its settings say. `openHost` adds the installation and the bus. Throws `config_invalid`, before
 * anything is opened, for TLS files that cannot be used and for an address beyond this machine without TLS.
 */
export async function openServers(options: ServersOptions): Promise<Servers> {
  const { config, clock, random, logger, metrics, limits = {}, bigIntegers = false } = options
  const tls = readTls(config.BAILIWICK_TLS)
  const address = { host: config.BAILIWICK_HOST, port: config.BAILIWICK_PORT }
  assertListenerAllowed(address.host, tls)
  const { hostname } = new URL(options.publicUrl ?? publicUrlOf(config))
  const hosts = options.anyName ? 'any' : [hostname, address.host, ...(config.BAILIWICK_HOSTS ?? [])]
  const perSecond = config.BAILIWICK_STRANGER_REQUESTS_PER_SECOND
  const health = new Health()
  const server = (of = health, http2 = false) =>
    httpServer({
      ...{ logger, clock, random, metrics, health: of, hosts, bigIntegers, limits, http2 },
      metricsFor: config.BAILIWICK_METRICS,
      trustedProxies: config.BAILIWICK_TRUSTED_PROXIES,
      strangers: perSecond === undefined ? undefined : { perSecond },
      ...(tls === undefined ? {} : { tls }),
    })
  let lobby: Lobby | undefined
  observeHealth({ readiness: () => ({ ...lobby?.readiness(), ...health.readiness() }) }, metrics)
  const http = await server(health, options.http2)
  const operator = await server()
  return {
    health,
    http,
    operator,
    async openLobby() {
      lobby = await openLobby(server, address)
      return lobby
    },
    async listen(socketAt) {
      await lobby?.close()
      const url = await http.listen(address)
      const socket = socketAt?.(url)
      if (socket !== undefined) await listenOperator(operator, socket)
      return url
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([lobby?.close(), http.close(), operator.close()])
    },
  }
}
