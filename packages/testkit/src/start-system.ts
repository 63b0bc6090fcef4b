import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bus } from '@bailiwick/bus'
import { embeddedBus } from '@bailiwick/bus/embedded'
import { embeddedGrantStore } from '@bailiwick/grant-store/embedded'
import { initialise, isInitialised, paths, readPolicyFiles } from '@bailiwick/installation'
import { type Host, openHost, topicSettings } from '@bailiwick/service-host'
import { type Logger, logger, metrics, readConfig, systemClock, systemRandom } from '@bailiwick/service-kit'
import { configSchema } from '@bailiwick/standalone/config'
import { sampleEntities } from '@bailiwick/standalone/sample'
import { type Standalone, type StandaloneAdapters, startStandalone } from '@bailiwick/standalone/start'

export interface SystemOptions {
  /** Kept when given; else a folder that goes with the system. */
  data?: string
  port?: number
  /** Where the sample invoices API will be; its base URL stands in the registry. */
  invoicesPort?: number
  singleOperator?: boolean
  /** Faults between the services and the bus. */
  wrapBus?: (bus: Bus) => Bus
  wrapRecord?: NonNullable<StandaloneAdapters['wrapRecord']>
  onFatal?: (error: unknown) => void
  /** Silent unless given. */
  logger?: Logger
}

export interface System extends AsyncDisposable {
  url: string
  data: string
  host: Host
  services: Standalone
  invoicesUrl: string
}

const policies = join(import.meta.dirname, '../../../policies')

/** The whole system in this process, on real embedded adapters and a real port: what `npm start` runs, in one call. */
export async function startSystem(options: SystemOptions = {}): Promise<System> {
  const data = options.data ?? mkdtempSync(join(tmpdir(), 'bailiwick-'))
  const port = options.port ?? (await freePort())
  const invoicesUrl = `http://localhost:${options.invoicesPort ?? (await freePort())}`
  const publicUrl = `http://localhost:${port}`
  if (!isInitialised(data))
    initialise({
      data,
      publicUrl,
      singleOperator: options.singleOperator ?? true,
      now: systemClock.now(),
      randomBytes,
      policies: readPolicyFiles(policies),
      entities: sampleEntities(data, invoicesUrl),
    })
  const config = readConfig(configSchema, {
    BAILIWICK_DATA: data,
    BAILIWICK_PORT: String(port),
    BAILIWICK_LOG_PUBLIC: '1',
  })
  await using started = new AsyncDisposableStack()
  const now = () => systemClock.now()
  const host = started.use(
    await openHost({
      config,
      socket: paths(data).operatorSocket,
      openBus: async () => {
        const bus = await embeddedBus({ dir: paths(data).bus, ...topicSettings, now })
        return options.wrapBus?.(bus) ?? bus
      },
      clock: systemClock,
      random: systemRandom,
      logger: options.logger ?? logger({ service: 'testkit', level: 'silent' }),
      metrics: metrics({ service: 'testkit', processMetrics: false }),
      onFatal: options.onFatal ?? ((error) => queueMicrotask(() => Promise.reject(error))),
    }),
  )
  const grantStore = started.use(embeddedGrantStore({ dir: paths(data).grants, now }))
  const { wrapRecord } = options
  const services = started.use(
    await startStandalone(config, host, { grantStore, ...(wrapRecord ? { wrapRecord } : {}) }),
  )
  await host.listen()
  const owned = started.move()
  return {
    url: publicUrl,
    data,
    host,
    services,
    invoicesUrl,
    async [Symbol.asyncDispose]() {
      await owned.disposeAsync()
      if (options.data === undefined) rmSync(data, { recursive: true, force: true })
    },
  }
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer()
  const { promise, resolve } = Promise.withResolvers<void>()
  server.listen(0, '127.0.0.1', resolve)
  await promise
  const address = server.address()
  const closed = Promise.withResolvers<void>()
  server.close(() => closed.resolve())
  await closed.promise
  if (typeof address !== 'object' || address === null) throw new Error('no port')
  return address.port
}
