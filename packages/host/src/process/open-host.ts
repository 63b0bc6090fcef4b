import type { Bus } from '@bailiwick/bus'
import { type KeyPurpose, openRotatingKey, type RotatingKey, readKeysSecret, type Trust } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { backupMark, paths, readInstallation } from '@bailiwick/installation'
import { type Clock, newId, type RandomSource } from '@bailiwick/kit'
import { z } from 'zod'
import type { HttpServer } from '../http/http-server.ts'
import { BusOutage } from '../observe/bus-outage.ts'
import type { Health } from '../observe/health.ts'
import type { Logger } from '../observe/logger.ts'
import type { Metrics } from '../observe/metrics.ts'
import { observedBus } from '../observe/observe-bus.ts'
import { commonSettings } from '../settings/settings.ts'
import type { OnWait } from './once-it-answers.ts'
import { openServers } from './open-servers.ts'
import { openSnapshots, type Snapshots } from './snapshots.ts'
import { assertSoftwareApproverContained } from './software-approver.ts'

const settingsSchema = z.object(commonSettings(0))
/** The settings that every process has. */
export type CommonConfig = z.output<typeof settingsSchema>

/** An adapter that knows whether it can be used. */
export type Watched<T> = T & {
  /** Why it cannot be used. A bus stays unhealthy until a new process opens it. */
  unhealthy?(): string | undefined
  /** Why it cannot be used for now. It recovers by itself. */
  late?(): string | undefined
}

export interface HostOptions {
  config: CommonConfig
  /** Path of the operator's socket. */
  socket: string
  /** Reports what it waits for to `onWait`. */
  openBus: (config: CommonConfig, onWait: OnWait) => Promise<Watched<Bus>>
  clock: Clock
  random: RandomSource
  logger: Logger
  metrics: Metrics
  /** The process must stop: state is no longer known. */
  onFatal: (error: unknown) => void
}

/** What every service gets, in whichever process it runs. */
export interface Adapters {
  /** The data directory. */
  data: string
  trust: Trust
  bus: Bus
  clock: Clock
  random: RandomSource
  logger: Logger
  metrics: Metrics
  health: Health
  http: HttpServer
  /** For the CLI on this machine. */
  operator: HttpServer
  /** Where the service keeps its state between starts. Absent, or undefined: each start reads everything. */
  snapshots?: (service: string) => Snapshots | undefined
  /** The process must stop: state is no longer known. */
  onFatal: (error: unknown) => void
}

/** What a process provides to the services that it runs. */
export interface Host extends AsyncDisposable, Adapters {
  /** The settings in every service's configuration. */
  settings: { instance: string; publicUrl: string; maxStalenessMs: number }
  /** The service's keys of this purpose. Throws as `readKeyFile` does. */
  key<P extends KeyPurpose>(service: string, name: string, purpose: P): RotatingKey<P>
  /** Listens on the address and on the operator's socket. Call it after all services have added their routes. Returns the address. */
  listen(): Promise<string>
}

/**
 * Opens what a process needs before it starts services: the trust anchor, the bus, servers. Throws `trust_invalid` without an
 * installation, and `bus_locked` if another process holds the embedded bus. It waits for a bus that other
 * processes share, and answers health checks on its address meanwhile (`lobby.ts`). Disposing stops the servers, then the bus.
 */
export async function openHost(options: HostOptions): Promise<Host> {
  const { config, clock, random, logger, metrics, onFatal } = options
  const data = config.BAILIWICK_DATA
  const { trust } = readInstallation(data)
  assertSoftwareApproverContained(trust, config)
  const secretFile = config.BAILIWICK_KEYS_SECRET_FILE
  const secret = secretFile === undefined ? undefined : readKeysSecret(secretFile)
  const publicUrl = config.BAILIWICK_PUBLIC_URL ?? trust.public_url
  const servers = await openServers({ config, publicUrl, clock, random, logger, metrics })
  const { health, http, operator } = servers
  let bus: Watched<Bus>
  try {
    const lobby = config.BAILIWICK_BUS.kind === 'embedded' ? undefined : await servers.openLobby()
    bus = await options.openBus(config, (reason) => lobby?.waitsFor(reason))
  } catch (error) {
    await servers[Symbol.asyncDispose]()
    throw error
  }
  health.check('bus', () => bus.unhealthy?.(), { liveness: true })
  health.check('bus_late', () => bus.late?.())
  const monotonic = () => clock.monotonic()
  const outage = new BusOutage({ metrics, logger, health, monotonic, late: () => bus.late?.() })
  return {
    data,
    trust,
    bus: observedBus(bus, metrics, monotonic, outage),
    clock,
    random,
    logger,
    metrics,
    health,
    http,
    operator,
    onFatal,
    settings: {
      instance: newId('evt', clock.now(), random).slice('evt_'.length),
      publicUrl,
      maxStalenessMs: config.BAILIWICK_MAX_STALENESS,
    },
    snapshots: (service) => openSnapshots(service, { data, folder: config.BAILIWICK_SNAPSHOTS, secret, logger }),
    key: (service, name, purpose) => openRotatingKey({ folder: paths(data).keys(service), name, purpose, secret }),
    async listen() {
      if (backupMark(data) !== undefined)
        throw new ServiceError(
          'config_invalid',
          `${data} comes from a backup: start the issuer from it first, which revokes everything`,
        )
      return servers.listen(() => options.socket)
    },
    async [Symbol.asyncDispose]() {
      await servers[Symbol.asyncDispose]()
      await bus[Symbol.asyncDispose]()
    },
  }
}
