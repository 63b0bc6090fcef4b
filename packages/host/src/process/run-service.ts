import { errorCode } from '@bailiwick/errors'
import { paths } from '@bailiwick/installation'
import { systemClock, systemRandom } from '@bailiwick/kit'
import type { z } from 'zod'
import type { Logger } from '../observe/logger.ts'
import { metrics as makeMetrics } from '../observe/metrics.ts'
import type { Env } from '../settings/known-settings.ts'
import { openBus } from './adapters.ts'
import { assertStartable } from './assert-startable.ts'
import { type CommonConfig, type Host, openHost } from './open-host.ts'
import { explain, runProcess } from './run-process.ts'
import { untilStopped } from './until-stopped.ts'

export interface Process<C extends CommonConfig> {
  name: string
  env: Env
  schema: z.ZodType<C>
  /** Called before anything is opened; e.g. makes the installation. */
  prepare?: (config: C) => void
  /** Starts the services on the host. The result is disposed of ahead of the host. */
  start: (config: C, host: Host) => Promise<AsyncDisposable>
  /** Called once it listens. */
  ready?: (config: C, host: Host) => Promise<void>
  /** Standard error, one line at a time. */
  complain: (line: string) => void
}

/** How long a stopped process waits for parts that are still open, ms. */
const lingerMs = 1000

/**
 * Runs a process from reading its environment to its stop signal. Returns the exit code: 0 after an orderly stop, 1 if it could not start
 * or stop. Settings that cannot work are refused before anything is written.
 */
export function runService<C extends CommonConfig>(options: Process<C>): Promise<number> {
  const { name } = options
  return runProcess({
    ...options,
    async run(config, logger, stopping) {
      await assertStartable(config, name, socketOf(name, config))
      options.prepare?.(config)
      await serveUntilStopped(options, config, logger, stopping)
      // kafkajs may connect once more while it is being ended, and then stay connected.
      const leave = () => {
        logger.warn({ open: process.getActiveResourcesInfo() }, 'leaving what is still open')
        process.exit()
      }
      setTimeout(leave, lingerMs).unref()
    },
  })
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
    openBus: (chosen, onWait) => openBus(chosen, options.name, logger, onWait),
    clock: systemClock,
    random: systemRandom,
    logger,
    metrics: makeMetrics({ service: options.name }),
    onFatal: (error) => {
      logger.fatal({ err: error, error_code: errorCode(error) }, 'stopping at once: the state is no longer known')
      options.complain(explain(options.name, 'run', error))
      process.exit(1)
    },
  })
  await using _services = await options.start(config, host)
  // Registered before the process is announced as running: a stop signal right after that must not break it off.
  const stopped = untilStopped(systemClock, {
    impatient: (signal) => logger.warn({ signal }, 'stopping at once: a second signal'),
  })
  const url = await host.listen()
  logger.info({ url }, 'ready')
  await options.ready?.(config, host)
  // On a terminal, a person should read the text of `ready` first. It says the same in words.
  const { installation, software_approver } = host.trust
  if (software_approver) logger.warn({ installation }, 'SOFTWARE APPROVER: a program approves, and no person')
  const signal = await stopped
  stopping()
  logger.info({ signal }, 'stopping')
  // Requests in progress are still answered before the services behind them stop.
  await Promise.all([host.http.close(), host.operator.close()])
}

function socketOf(name: string, { BAILIWICK_DATA, BAILIWICK_PORT }: CommonConfig): string {
  const at = paths(BAILIWICK_DATA)
  return name === 'standalone' ? at.operatorSocket : at.serviceSocket(name, BAILIWICK_PORT)
}
