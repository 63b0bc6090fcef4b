import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { encodeBase64url, parseTrust, readKeyFile } from '@bailiwick/credentials'
import { type ErrorCode, ServiceError } from '@bailiwick/errors'
import { type Logger, type Metrics, openServers, publicUrlOf } from '@bailiwick/host'
import { type Clock, type RandomSource, writeFileDurably } from '@bailiwick/kit'
import { fileOutcomeStore, openEnforcementPoint } from '@bailiwick/pep'
import { leanFetch, openRelay, type SecretPort } from '@bailiwick/relay'
import { AccessLogs } from './authorize/access-logs.ts'
import { Authorizers } from './authorize/authorizers.ts'
import type { GatewayConfig } from './config.ts'
import type { EntryOptions } from './decided-entry.ts'
import { connectionsWithin, openFilesLimit } from './descriptors.ts'
import { openEnvoyServer } from './envoy/envoy-server.ts'
import { type GatewayFile, readGatewayFile } from './gateway-file.ts'
import type { GitEntry } from './git/git-entry.ts'
import { GitServer } from './git/git-server.ts'
import { apiRoutes } from './http/api-routes.ts'
import { authorizeRoutes } from './http/authorize-routes.ts'
import { gitRoutes } from './http/git-routes.ts'
import { mcpRoutes } from './http/mcp-routes.ts'
import { modelsRoutes } from './http/models-routes.ts'
import { postgresRoutes } from './http/postgres-routes.ts'
import { metadataPath } from './http/resource-metadata.ts'
import { sessionRoutes } from './http/session-routes.ts'
import { sshRoutes } from './http/ssh-routes.ts'
import { manifestReporter } from './manifest/approval-client.ts'
import { ManifestReports } from './manifest/manifest-reports.ts'
import { type Pin, pinFileOf, readPin } from './manifest/pins.ts'
import type { Decide } from './mcp/mcp-options.ts'
import { McpServer } from './mcp/mcp-server.ts'
import { McpServers } from './mcp/mcp-servers.ts'
import { Searches } from './mcp/searches.ts'
import { Shares } from './mcp/shares.ts'
import { ModelProviders } from './models/model-providers.ts'
import { Database } from './postgres/database.ts'
import type { DatabaseEntry } from './postgres/database-entry.ts'
import { Apis } from './proxy/apis.ts'
import { Reload, stampsOf } from './reload.ts'
import { type Behind, prepareAll, Served } from './served.ts'
import { accessTo } from './servers/upstreams.ts'
import { SessionApp } from './session/session-app.ts'
import type { SessionEntry } from './session/session-entry.ts'
import { SshAuthorities } from './ssh/ssh-authorities.ts'

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
  /** Where it listens for gRPC, if it does. */
  grpcUrl: string | undefined
  /** Reads `gateway.yaml` and the pin files again. Returns why they cannot be used, if they cannot: the last ones then stay in use. */
  reload(): ErrorCode | undefined
}

/** How long a stream of notifications may last; its client then opens another. If its outcome is lost, its reservation is held as long. */
const streamSeconds = 3600
/** How long a server may take to begin an answer. */
const answerMs = 120_000

/** Starts the gateway and listens. Throws `config_invalid` for a file that cannot work, before it listens. */
export async function startGateway(config: GatewayConfig, adapters: GatewayAdapters): Promise<Gateway> {
  const { clock, random, logger, metrics, env, secrets } = adapters
  const path = config.BAILIWICK_GATEWAY_CONFIG
  const file = readGatewayFile(path)
  const stamps = stampsOf(path, file)
  const publicUrl = publicUrlOf(config)
  const trust = readTrust(file.trust ?? join(config.BAILIWICK_DATA, 'trust.json'))
  const pdpUrl = file.decision_point?.replace(/\/+$/, '') ?? trust.public_url
  await using started = new AsyncDisposableStack()
  const callerKey = readKeyFile(file.keys, `${file.point}-caller`, 'pep-caller')
  const point = started.use(
    await openEnforcementPoint({
      id: file.point,
      trust,
      callerKey,
      outcomeKey: readKeyFile(file.keys, `${file.point}-outcome`, 'outcome'),
      pdpUrl,
      evidenceUrl: pdpUrl,
      fetch: leanFetch,
      store: fileOutcomeStore(join(config.BAILIWICK_DATA, 'gateway', `${file.point}-outcomes.json`)),
      now: () => clock.now(),
      random,
      onProblem: (err) => logger.warn({ err }, 'an outcome could not be reported'),
    }),
  )
  const decide: Decide = (upstream, request, caller, { manifest, isLong, signal, continues, mapped }) =>
    openRelay({
      point,
      upstream,
      manifest,
      continues,
      mapped,
      ...(isLong ? { answerSeconds: streamSeconds } : {}),
    }).run(request, caller, signal)
  const searches = new Searches(point, clock)
  /** A credential for one of these is good for everything behind the gateway. */
  const audiences = [publicUrl, trust.public_url]
  let inUse: GatewayFile = file
  const shares = new Shares(() => inUse.each_agent)
  const reports = started.use(
    new ManifestReports({
      ...{ clock, logger },
      send: manifestReporter({
        ...{ id: file.point, callerKey, random },
        publicUrl: trust.public_url.replace(/\/+$/, ''),
        now: () => clock.now(),
      }),
      pinOf: (name) => pinFiled(inUse.mcp[name]?.pin),
      async onApproved(name, pin) {
        const path = inUse.mcp[name]?.pin
        // Without a pin file, the decision point is asked with what was read.
        if (path === undefined) return
        servers.repin(name, pin)
        if (pinFiled(path)?.hash === pin.hash) return
        try {
          await writeFileDurably(path, pinFileOf(pin, path), { mode: 0o644 })
        } catch (err) {
          logger.warn({ err, server: name }, 'the pin file cannot be written, so it is older than what people approved')
        }
      },
    }),
  )
  const servers: McpServers = started.use(
    new McpServers((name, entry, pin, held) => {
      const access = accessTo(entry, {
        ...{ secrets, env, answerMs },
        newMark: () => encodeBase64url(random(16)),
        onError: (text: string) => logger.info({ server: name, text }, 'a server wrote to its standard error'),
      })
      const server = new McpServer({
        ...{ name, entry, point, searches, decide, clock, random, access, pin, held, shares },
        onRead: (reading) => reports.saw(name, entry.server ?? name, reading),
        url: `${publicUrl}/mcp/${name}`,
        audiences,
        metadataUrl: `${publicUrl}${metadataPath}/mcp/${name}`,
      })
      return { server, access }
    }),
  )
  const common = { point, secrets, shares, audiences }
  const apis = started.use(new Apis({ ...common, publicUrl, streamSeconds, headMs: answerMs }))
  const models = started.use(new ModelProviders({ ...common, logger, publicUrl }))
  /** The entries of one kind, each at its name below `path`. */
  const served = <E, B extends Behind>(path: string, open: (options: EntryOptions<E>) => B) =>
    started.use(
      new Served<E, B>({
        open: (name, entry) => open({ ...common, name, entry, address: `${publicUrl}/${path}/${name}` }),
      }),
    )
  const gits = served('git', (options: EntryOptions<GitEntry>) => new GitServer(options))
  const databases = served(
    'postgres',
    (options: EntryOptions<DatabaseEntry>) => new Database({ ...options, clock, random, logger }),
  )
  const applications = served('session', (options: EntryOptions<SessionEntry>) => new SessionApp({ ...options, clock }))
  const sshs = started.use(new SshAuthorities({ ...common, publicUrl, random, now: () => clock.now() }))
  const logs = started.use(new AccessLogs({ random, metrics }))
  const authorizers = started.use(new Authorizers({ ...common, logs }))
  /** Without `onUnreadablePin`, a pin file that cannot be read is a fault of the file. */
  const prepare = (next: GatewayFile, onUnreadablePin?: (server: string, err: unknown) => void) =>
    prepareAll([
      () => apis.prepare(next.http),
      () => models.prepare(next.models),
      () => gits.prepare(next.git),
      () => databases.prepare(next.postgres),
      () => applications.prepare(next.session),
      () => sshs.prepare(next.ssh),
      () => authorizers.prepare(next.authorize),
      () => servers.prepare(next.mcp, onUnreadablePin),
    ])
  prepare(file).use()
  const { http, health, listen } = started.use(
    await openServers({
      ...{ config, clock, random, logger, metrics, http2: config.BAILIWICK_HTTP2 },
      limits: { ...connectionsWithin(openFilesLimit()), graceMs: config.BAILIWICK_DRAIN },
    }),
  )
  health.check('point', () => point.obstacle)
  const routes = { publicUrl, issuer: trust.public_url, origins: () => inUse.origins }
  mcpRoutes(http, servers, routes)
  apiRoutes(http, apis, routes)
  modelsRoutes(http, (name) => models.get(name), routes)
  gitRoutes(http, (name) => gits.get(name), routes)
  postgresRoutes(http, (name) => databases.get(name), routes)
  sessionRoutes(http, (name) => applications.get(name), routes)
  sshRoutes(http, (name) => sshs.get(name), routes)
  authorizeRoutes(http, authorizers)
  observe(metrics, servers)
  const url = await listen()
  const envoy = started.use(await openEnvoyServer(config, { authorizers, logs, clock, logger, metrics }))
  const reload = started.use(
    new Reload({
      ...{ path, first: file, stamps, logger, metrics },
      apply(next) {
        const changes = prepare(next, (server, err) =>
          logger.error({ err, server }, 'A PIN FILE CANNOT BE READ: ITS SERVER IS SERVED WITHOUT A PIN'),
        ).use()
        inUse = next
        reports.again(servers.names)
        return changes
      },
    }),
  )
  const owned = started.move()
  return { url, grpcUrl: envoy?.url, reload: () => reload.now(), [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** What a pin file holds; undefined if it cannot be read now. */
function pinFiled(path: string | undefined): Pin | undefined {
  try {
    return path === undefined ? undefined : readPin(path)
  } catch {
    return undefined
  }
}

function readTrust(path: string) {
  try {
    return parseTrust(readFileSync(path))
  } catch (error) {
    throw new ServiceError('trust_invalid', `${path} is missing or does not verify`, { cause: error })
  }
}

function observe(metrics: Metrics, servers: McpServers): void {
  metrics.gauge('gateway_conversations', 'Sessions and processes with servers of tools', ['server'], (gauge) => {
    gauge.reset()
    for (const server of servers.names) gauge.set({ server }, servers.conversations(server))
  })
}
