import { readFileSync } from 'node:fs'
import { startApproval } from '@bailiwick/approval/start'
import type { Bus } from '@bailiwick/bus'
import { embeddedBus } from '@bailiwick/bus/embedded'
import { topicNamed } from '@bailiwick/contracts'
import { readKeyFile, type Trust } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { startEvidence } from '@bailiwick/evidence/start'
import { embeddedGrantStore } from '@bailiwick/grant-store/embedded'
import { paths, readGenesis, readInstallation } from '@bailiwick/installation'
import { startIssuer } from '@bailiwick/issuer/start'
import { startPolicyDecision } from '@bailiwick/policy-decision/start'
import {
  type Clock,
  Health,
  type HttpServer,
  httpServer,
  type Logger,
  listenOperator,
  type Metrics,
  newId,
  type RandomSource,
} from '@bailiwick/service-kit'
import type { StandaloneConfig } from './config.ts'

export interface StandaloneAdapters {
  clock: Clock
  random: RandomSource
  logger: Logger
  metrics: Metrics
  /** The process must stop: state is no longer known. */
  onFatal: (error: unknown) => void
  /** Wraps the bus before anything uses it: faults in tests. */
  wrapBus?: (bus: Bus) => Bus
}

export interface Standalone extends AsyncDisposable {
  url: string
  trust: Trust
  bus: Bus
  evidence: Awaited<ReturnType<typeof startEvidence>>
  policyDecision: Awaited<ReturnType<typeof startPolicyDecision>>
}

const dayMs = 24 * 3600 * 1000

/**
 * All four services in one process, on the embedded bus and grant store of `BAILIWICK_DATA`, which `initialise` has made. One
 * trust domain: whoever takes over this process has everything (DESIGN §3).
 */
export async function startStandalone(config: StandaloneConfig, adapters: StandaloneAdapters): Promise<Standalone> {
  refuseOtherAdapters(config)
  const { clock, random, logger, metrics, onFatal } = adapters
  const data = config.BAILIWICK_DATA
  const { trust } = readInstallation(data)
  const at = paths(data)
  const publicUrl = config.BAILIWICK_PUBLIC_URL ?? trust.public_url
  await using started = new AsyncDisposableStack()

  const opened = await embeddedBus({ dir: at.bus, ...topicSettings, now: () => clock.now() })
  const bus = adapters.wrapBus?.(opened) ?? opened
  started.use(opened)
  const grantStore = started.use(await embeddedGrantStore({ dir: at.grants, now: () => clock.now() }))
  const health = new Health()
  const tls = tlsOf(config)
  const server = () => httpServer({ logger, clock, health, metrics, random, ...(tls === undefined ? {} : { tls }) })
  const http = await server()
  const operator = await server()
  const instance = newId('evt', clock.now(), random).slice(4)
  const common = { bus, trust, clock, random, logger, health, metrics, http, operator, onFatal }
  const settings = { instance, publicUrl, maxStalenessMs: config.BAILIWICK_MAX_STALENESS }
  const keys = <P extends Parameters<typeof readKeyFile>[2]>(service: string, name: string, purpose: P) =>
    readKeyFile(at.keys(service), name, purpose)

  // The issuer first: it publishes the genesis, and its heads make the others fresh.
  started.use(
    await startIssuer(
      { ...settings, credentialSeconds: config.BAILIWICK_CREDENTIAL_SECONDS },
      {
        ...common,
        genesis: readGenesis(data),
        keys: { event: keys('issuer', 'event', 'issuer-event'), credential: keys('issuer', 'credential', 'credential') },
      },
    ),
  )
  const evidence = started.use(
    await startEvidence(
      { ...settings, logPublic: config.BAILIWICK_LOG_PUBLIC },
      {
        ...common,
        data,
        keys: { event: keys('evidence', 'event', 'evidence-event'), log: readFileSync(at.logKey, 'utf8').trim() },
      },
    ),
  )
  const policyDecision = started.use(
    await startPolicyDecision(settings, {
      ...common,
      grantStore,
      data,
      keys: { event: keys('policy-decision', 'event', 'pdp-event'), permit: keys('policy-decision', 'permit', 'permit') },
    }),
  )
  started.use(
    await startApproval(settings, { ...common, keys: { event: keys('approval', 'event', 'approval-event') } }),
  )
  // Closed before the services stop, so that whoever is being answered still is.
  started.defer(() => closeBoth(http, operator))
  const url = await http.listen({ host: config.BAILIWICK_HOST, port: config.BAILIWICK_PORT })
  await listenOperator(operator, at.operatorSocket)
  const owned = started.move()
  return { url, trust, bus, evidence, policyDecision, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** Topics as they are declared, in the embedded bus's terms. */
export const topicSettings = {
  partitions: (name: string) => topicNamed(name)?.partitions ?? 1,
  retentionMs: (name: string) => {
    const cleanup = topicNamed(name)?.cleanup
    return typeof cleanup === 'object' ? cleanup.retentionDays * dayMs : undefined
  },
  inMemory: (name: string) => name === 'heads.v1',
}

function refuseOtherAdapters(config: StandaloneConfig): void {
  if (config.BAILIWICK_BUS.kind !== 'embedded')
    throw new ServiceError('config_invalid', 'BAILIWICK_BUS: the Kafka adapter is not built yet; leave it unset')
  if (config.BAILIWICK_GRANT_STORE.kind !== 'embedded')
    throw new ServiceError('config_invalid', 'BAILIWICK_GRANT_STORE: the Redis adapter is not built yet; leave it unset')
}

function tlsOf({ BAILIWICK_TLS: tls }: StandaloneConfig) {
  if (tls === 'none') return undefined
  if (tls === 'terminated') return tls
  return { certificate: readFileSync(tls.certificateFile), key: readFileSync(tls.keyFile) }
}

async function closeBoth(http: HttpServer, operator: HttpServer): Promise<void> {
  await Promise.all([http.close(), operator.close()])
}
