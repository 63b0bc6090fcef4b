import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import { ServiceError } from '@bailiwick/errors'
import { type Clock, nodeArguments } from '@bailiwick/service-kit'
import { Argument, type Command } from 'commander'
import type { ExitCode, Io } from '../io.ts'
import { type DataOption, withData } from '../options.ts'
import { mainOf, type Service, services } from '../repository.ts'

interface ServeOptions extends DataOption {
  port?: string
  policies?: string
  plain?: true
}

export function serveCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = program
    .command('serve')
    .summary('run everything, or one service by itself')
    .description(
      'Runs all four services in one process, or the named one by itself. Settings come from the environment ' +
        '(BAILIWICK_…); a wrong one is named. The embedded bus belongs to one process: several need Kafka.',
    )
    .addArgument(new Argument('[service]', 'all four unless given').choices(services))
    .option('--port <port>', 'where it listens; BAILIWICK_PORT unless given')
    .option('--plain', 'policy-decision alone: answers AuthZEN requests from a policy directory, without grants')
    .option('--policies <dir>', 'with --plain: the policy directory; BAILIWICK_POLICIES unless given')
  withData(command, io).action(async (service: Service | undefined, { data, port, policies, plain }: ServeOptions) => {
    if (plain && service !== 'policy-decision')
      throw new ServiceError('config_invalid', '--plain: say serve policy-decision --plain')
    if (policies !== undefined && !plain)
      throw new ServiceError('config_invalid', '--policies: with --plain alone; else the registry names the policy set')
    const given = {
      BAILIWICK_DATA: data,
      ...(port === undefined ? {} : { BAILIWICK_PORT: port }),
      ...(policies === undefined ? {} : { BAILIWICK_POLICIES: policies }),
    }
    done(await serve(mainOf(service ?? 'standalone'), { ...io.env, ...given }, io.clock, plain ? ['--plain'] : []))
  })
}

const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** npm passes a terminal's Ctrl-C on, so one wish to stop comes as several signals. */
const SAME_WISH_MS = 1000

/**
 * Runs `main` with these arguments, as a service, on this Node until it ends, passing signals on; those of one wish once, since a signal
 * that meets a process in its very end kills it. Its exit code; of a signal, what a shell makes of it.
 */
export async function serve(
  main: string,
  env: NodeJS.ProcessEnv,
  clock: Clock,
  args: readonly string[] = [],
): Promise<ExitCode> {
  const child = spawn(process.execPath, [...nodeArguments(env), main, ...args], { stdio: 'inherit', env })
  let last = Number.NEGATIVE_INFINITY
  const forward = (signal: NodeJS.Signals) => {
    const now = clock.monotonic()
    if (now - last < SAME_WISH_MS) return
    last = now
    child.kill(signal)
  }
  for (const signal of forwarded) process.on(signal, forward)
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
    return code ?? 128 + (signal === null ? 0 : constants.signals[signal])
  } catch (cause) {
    throw new ServiceError('config_invalid', `${main} could not be started`, { cause })
  } finally {
    for (const signal of forwarded) process.off(signal, forward)
  }
}
