import { errorCode, errorKinds, ServiceError } from '@bailiwick/errors'
import { paths } from '@bailiwick/installation'
import {
  type Env,
  type Logger,
  logger as makeLogger,
  metrics as makeMetrics,
  readConfig,
  systemClock,
  systemRandom,
  untilStopped,
} from '@bailiwick/service-kit'
import type { z } from 'zod'
import { openBus } from './adapters.ts'
import { assertStartable } from './assert-startable.ts'
import { type CommonConfig, type Host, openHost } from './open-host.ts'

export interface Process<C extends CommonConfig> {
  name: string
  env: Env
  schema: z.ZodType<C>
  /** Before anything is opened; e.g. makes the installation. */
  prepare?: (config: C) => void
  /** Starts the services on the host; disposed before it. */
  start: (config: C, host: Host) => Promise<AsyncDisposable>
  /** Once it listens. */
  ready?: (config: C, host: Host) => Promise<void>
  /** Standard error, a line at a time. */
  complain: (line: string) => void
}

/**
 * A process from its environment to its stop signal. Gives the exit code: 0 after an orderly stop, 1 when it could not start
 * or stop. What cannot work is refused before anything is written.
 */
export async function runService<C extends CommonConfig>(options: Process<C>): Promise<number> {
  const { name, complain } = options
  let tried: Tried = 'start'
  try {
    const config = readConfig(options.schema, options.env)
    await assertStartable(config, name, socketOf(name, config))
    options.prepare?.(config)
    const logger = makeLogger({ service: name, level: config.BAILIWICK_LOG_LEVEL, destination: process.stderr })
    await serveUntilStopped(options, config, logger, () => {
      tried = 'stop'
    })
    logger.info('stopped')
    return 0
  } catch (error) {
    complain(explain(name, tried, error))
    return 1
  }
}

async function serveUntilStopped<C extends CommonConfig>(
  options: Process<C>,
  config: C,
  logger: Logger,
  stopping: () => void,
): Promise<void> {
  await using host = await openHost({
    config,
    socket: socketOf(options.name, config),
    openBus: (chosen) => openBus(chosen, options.name, logger),
    clock: systemClock,
    random: systemRandom,
    logger,
    metrics: makeMetrics({ service: options.name }),
    onFatal: (error) => {
      logger.fatal({ err: error, error_code: errorCode(error) }, 'stopping at once: the state is no longer known')
      process.exit(1)
    },
  })
  await using _services = await options.start(config, host)
  // From before anybody is told that it runs: who stops it then is not to break it off.
  const stopped = untilStopped(systemClock, {
    impatient: (signal) => logger.warn({ signal }, 'stopping at once: a second signal'),
  })
  const url = await host.listen()
  logger.info({ url }, 'ready')
  await options.ready?.(config, host)
  const signal = await stopped
  stopping()
  logger.info({ signal }, 'stopping')
  // Whoever is being answered still is, before the services behind the answers stop.
  await Promise.all([host.http.close(), host.operator.close()])
}

type Tried = 'start' | 'stop'

function socketOf(name: string, { BAILIWICK_DATA, BAILIWICK_PORT }: CommonConfig): string {
  const at = paths(BAILIWICK_DATA)
  return name === 'standalone' ? at.operatorSocket : at.serviceSocket(name, BAILIWICK_PORT)
}

/** Says what is wrong and names the setting; our own errors have that in their detail. */
function explain(name: string, tried: Tried, error: unknown): string {
  const code = errorCode(error)
  const failed = tried === 'start' ? `${name} cannot start` : `${name} did not stop in order`
  if (isPortTaken(error))
    return `${failed}: BAILIWICK_PORT: another process listens on ${error.port}: stop it, or choose another port`
  if (!(error instanceof ServiceError)) return `${failed}: ${error instanceof Error ? error.message : String(error)}`
  const hint =
    code === 'bus_locked'
      ? ' The embedded bus belongs to one process at a time: stop the other one, or give this one its own BAILIWICK_DATA.'
      : ''
  return `${failed}: ${errorKinds[code].title} (${code}): ${error.detail ?? ''}${hint}`
}

const isPortTaken = (error: unknown): error is Error & { port: number } =>
  error instanceof Error && 'code' in error && error.code === 'EADDRINUSE' && 'port' in error
