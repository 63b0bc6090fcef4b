import type { Bus } from '@bailiwick/bus'
import { embeddedBus } from '@bailiwick/bus/embedded'
import type { GrantStore } from '@bailiwick/grant-store'
import { embeddedGrantStore } from '@bailiwick/grant-store/embedded'
import { type Logger, logger as makeLogger, metrics, readConfig } from '@bailiwick/host'
import { type Host, openHost, topicSettings } from '@bailiwick/host/process'
import { paths } from '@bailiwick/installation'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { configSchema } from '@bailiwick/standalone/config'
import { type Standalone, type StandaloneAdapters, startStandalone } from '@bailiwick/standalone/start'
import { type PlaceOptions, preparePlace, type RunningSystem } from './running-system.ts'

export interface SystemOptions extends PlaceOptions {
  /** Settings over those that the system needs. */
  env?: Readonly<Record<string, string>>
  /** Used instead of embedded ones; they stay the caller's. */
  adapters?: { bus: Bus; grantStore: GrantStore }
  /** Faults between the services and the bus. */
  wrapBus?: (bus: Bus) => Bus
  wrapRecord?: NonNullable<StandaloneAdapters['wrapRecord']>
  onFatal?: (error: unknown) => void
  /** Silent unless given. */
  logger?: Logger
}

export interface System extends RunningSystem {
  host: Host
  services: Standalone
}

/** The host closes its bus, but this one belongs to the caller. */
function borrowed(bus: Bus | undefined): Bus | undefined {
  return (
    bus && {
      publish: (topic, events) => bus.publish(topic, events),
      consume: (topics, group, handler) => bus.consume(topics, group, handler),
      follow: (topics, since, handler) => bus.follow(topics, since, handler),
      ends: (topic) => bus.ends(topic),
      [Symbol.asyncDispose]: async () => undefined,
    }
  )
}

/** The whole system in this process, on real embedded adapters and a real port, in one call: the same as `npm start`. */
export async function startSystem(options: SystemOptions = {}): Promise<System> {
  const place = await preparePlace(options)
  const { data, port, url, invoicesUrl } = place
  const config = readConfig(configSchema, {
    BAILIWICK_DATA: data,
    BAILIWICK_PORT: String(port),
    BAILIWICK_LOG_PUBLIC: '1',
    ...options.env,
  })
  await using started = new AsyncDisposableStack()
  started.defer(() => place.leave())
  const clock = options.clock ?? systemClock
  const now = () => clock.now()
  const logger = options.logger ?? makeLogger({ service: 'testkit', level: 'silent' })
  const host = started.use(
    await openHost({
      config,
      socket: paths(data).operatorSocket,
      openBus: async () => {
        const bus =
          borrowed(options.adapters?.bus) ?? (await embeddedBus({ dir: paths(data).bus, ...topicSettings, now }))
        return options.wrapBus?.(bus) ?? bus
      },
      clock,
      random: systemRandom,
      logger,
      metrics: metrics({ service: 'testkit', processMetrics: false }),
      onFatal: options.onFatal ?? ((error) => queueMicrotask(() => Promise.reject(error))),
    }),
  )
  const grantStore = options.adapters?.grantStore ?? started.use(embeddedGrantStore({ dir: paths(data).grants, now }))
  const { wrapRecord } = options
  const services = started.use(
    await startStandalone(config, host, { grantStore, ...(wrapRecord ? { wrapRecord } : {}) }),
  )
  await host.listen()
  const owned = started.move()
  const { bus, trust, random } = host
  return {
    url,
    data,
    trust,
    bus,
    invoicesUrl,
    clock,
    random,
    logger,
    host,
    services,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
