import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { encodeBase64url, parseTrust, readKeyFile } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { Health, httpServer, type Logger, type Metrics, readTls } from '@bailiwick/host'
import type { Clock, RandomSource } from '@bailiwick/kit'
import { fileOutcomeStore, openEnforcementPoint } from '@bailiwick/pep'
import { openRelay, type SecretPort } from '@bailiwick/relay'
import type { GatewayConfig } from './config.ts'
import { readGatewayFile } from './gateway-file.ts'
import { mcpRoutes, metadataPath } from './http/mcp-routes.ts'
import { readPin } from './manifest/pins.ts'
import { type Decide, McpServer } from './mcp/mcp-server.ts'
import { accessTo } from './servers/upstreams.ts'

export interface GatewayAdapters {
  clock: Clock
  random: RandomSource
  logger: Logger
  metrics: Metrics
  /** The gateway's own environment: servers get a few variables of it, and secrets may be in others. */
  env: Readonly<Record<string, string | undefined>>
  secrets: SecretPort
}

export interface Gateway extends AsyncDisposable {
  /** Where it listens. */
  url: string
}

/** How long a stream of notifications may last; its client then opens another. If its outcome is lost, its reservation is held as long. */
const streamSeconds = 3600
/** How long a server may take to begin an answer. */
const answerMs = 120_000

/** Starts the gateway and listens. Throws `config_invalid` for a file that cannot work, before it listens. */
export async function startGateway(config: GatewayConfig, adapters: GatewayAdapters): Promise<Gateway> {
  const { clock, random, logger, metrics, env, secrets } = adapters
  const file = readGatewayFile(config.BAILIWICK_GATEWAY_CONFIG)
  const publicUrl = config.BAILIWICK_PUBLIC_URL ?? `http://localhost:${config.BAILIWICK_PORT}`
  const trust = readTrust(file.trust ?? join(config.BAILIWICK_DATA, 'trust.json'))
  const pdpUrl = file.decision_point?.replace(/\/+$/, '') ?? trust.public_url
  await using started = new AsyncDisposableStack()
  const point = started.use(
    await openEnforcementPoint({
      id: file.point,
      trust,
      callerKey: readKeyFile(file.keys, `${file.point}-caller`, 'pep-caller'),
      outcomeKey: readKeyFile(file.keys, `${file.point}-outcome`, 'outcome'),
      pdpUrl,
      evidenceUrl: pdpUrl,
      store: fileOutcomeStore(join(config.BAILIWICK_DATA, 'gateway', `${file.point}-outcomes.json`)),
      now: () => clock.now(),
      random,
      onProblem: (err) => logger.warn({ err }, 'an outcome could not be reported'),
    }),
  )
  const decide: Decide = (upstream, request, caller, { manifest, isLong, signal }) =>
    openRelay({ point, upstream, manifest, ...(isLong ? { answerSeconds: streamSeconds } : {}) }).run(
      request,
      caller,
      signal,
    )
  const servers = new Map<string, McpServer>()
  for (const [name, entry] of Object.entries(file.mcp)) {
    const access = started.use(
      accessTo(entry, {
        ...{ secrets, env, answerMs },
        newMark: () => encodeBase64url(random(16)),
        onError: (text: string) => logger.info({ server: name, text }, 'a server wrote to its standard error'),
      }),
    )
    const server = new McpServer({
      ...{ name, entry, point, decide, clock, random, access },
      url: `${publicUrl}/mcp/${name}`,
      audiences: [publicUrl, trust.public_url],
      metadataUrl: `${publicUrl}${metadataPath}/mcp/${name}`,
      pin: entry.pin === undefined ? undefined : readPin(entry.pin),
    })
    servers.set(name, started.use(server))
  }
  const health = new Health()
  health.check('point', () => point.obstacle)
  const tls = readTls(config.BAILIWICK_TLS)
  const http = await httpServer({
    ...{ logger, clock, health, metrics, random },
    metricsFor: config.BAILIWICK_METRICS,
    trustedProxies: config.BAILIWICK_TRUSTED_PROXIES,
    strangers: { perSecond: config.BAILIWICK_STRANGER_REQUESTS_PER_SECOND },
    hosts: [new URL(publicUrl).hostname, config.BAILIWICK_HOST, ...config.BAILIWICK_HOSTS],
    ...(tls === undefined ? {} : { tls }),
  })
  started.defer(() => http.close())
  mcpRoutes(http, { servers, publicUrl, issuer: trust.public_url, origins: file.origins })
  observe(metrics, servers)
  const url = await http.listen({ host: config.BAILIWICK_HOST, port: config.BAILIWICK_PORT })
  const owned = started.move()
  return { url, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

function readTrust(path: string) {
  try {
    return parseTrust(readFileSync(path))
  } catch (error) {
    throw new ServiceError('trust_invalid', `${path} is missing or does not verify`, { cause: error })
  }
}

function observe(metrics: Metrics, servers: ReadonlyMap<string, McpServer>): void {
  metrics.gauge('gateway_conversations', 'Sessions and processes with servers of tools', ['server'], (gauge) => {
    for (const [server, { conversations }] of servers) gauge.set({ server }, conversations)
  })
}
