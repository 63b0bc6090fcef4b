import { errorCode, errorKinds, ServiceError } from '@bailiwick/errors'
import type { z } from 'zod'
import { type Logger, type LogLevel, logger as makeLogger } from '../observe/logger.ts'
import { readConfig } from '../settings/config.ts'
import type { Env } from '../settings/known-settings.ts'

export interface ProcessRun<C extends { BAILIWICK_LOG_LEVEL: LogLevel }> {
  name: string
  env: Env
  schema: z.ZodType<C>
  /** Runs until its stop signal. Then it calls `stopping`, and ends. */
  run: (config: C, logger: Logger, stopping: () => void) => Promise<void>
  /** Standard error, one line at a time. */
  complain: (line: string) => void
}

type Tried = 'start' | 'run' | 'stop'

const failures: Record<Tried, string> = {
  start: 'cannot start',
  run: 'cannot go on, and ends',
  stop: 'did not stop in order',
}

/** Returns the exit code: 0 after an orderly stop, 1 if it could not start or stop, with the reason on standard error. */
export async function runProcess<C extends { BAILIWICK_LOG_LEVEL: LogLevel }>(options: ProcessRun<C>): Promise<number> {
  const { name, complain } = options
  let tried: Tried = 'start'
  try {
    const config = readConfig(options.schema, options.env)
    const logger = makeLogger({ service: name, level: config.BAILIWICK_LOG_LEVEL, destination: process.stderr })
    await options.run(config, logger, () => {
      tried = 'stop'
    })
    logger.info('stopped')
    return 0
  } catch (error) {
    complain(explain(name, tried, error))
    return 1
  }
}

/** Explains an error and names the setting. Our own errors have that in their detail. */
export function explain(name: string, tried: Tried, error: unknown): string {
  const code = errorCode(error)
  const failed = `${name} ${failures[tried]}`
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
