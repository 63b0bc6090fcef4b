import { spawn } from 'node:child_process'
import { type EventEmitter, once } from 'node:events'
import { constants } from 'node:os'
import { ServiceError } from '@bailiwick/errors'
import { nodeArguments } from '@bailiwick/host'
import { Argument, type Command } from 'commander'
import type { ExitCode, Io } from '../io.ts'
import { type DataOption, port as portIn, withData } from '../options.ts'
import { gateway, mainOf, plainMain, type Service, services } from '../repository.ts'

interface ServeOptions extends DataOption {
  port?: number
  policies?: string
  plain?: true
  permitsNothing?: true
  config?: string
}

export function serveCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = program
    .command('serve')
    .summary('run everything, or one service by itself')
    .description(
      'Runs all four services in one process, or the named one by itself. Settings come from the environment ' +
        '(BAILIWICK_…); a wrong one is named. The embedded bus belongs to one process: several need Kafka. `gateway` is an enforcement ' +
        'point in front of MCP servers, which its file names; it needs no bus.',
    )
    .addArgument(new Argument('[service]', 'all four unless given').choices([...services, gateway]))
    .option('--port <port>', 'where it listens; BAILIWICK_PORT unless given', portIn)
    .option('--plain', 'policy-decision alone: answers AuthZEN requests from a policy directory, without grants')
    .option('--permits-nothing', 'with --plain: the policies are meant to deny every request')
    .option('--config <file>', 'gateway: the file that names the MCP servers; BAILIWICK_GATEWAY_CONFIG unless given')
    .option('--policies <dir>', 'with --plain: the policy directory; BAILIWICK_POLICIES unless given')
  withData(command, io).action(async (service: Service | undefined, options: ServeOptions) => {
    const { data, port, policies, plain, permitsNothing, config } = options
    if (plain && service !== 'policy-decision')
      throw new ServiceError('config_invalid', '--plain: say serve policy-decision --plain')
    if (policies !== undefined && !plain)
      throw new ServiceError('config_invalid', '--policies: with --plain alone; else the registry names the policy set')
    if (permitsNothing && !plain)
      throw new ServiceError('config_invalid', '--permits-nothing: with --plain alone; else approvers sign it')
    if (config !== undefined && service !== gateway)
      throw new ServiceError('config_invalid', '--config: say serve gateway --config FILE')
    const given = {
      BAILIWICK_DATA: data,
      ...(port === undefined ? {} : { BAILIWICK_PORT: String(port) }),
      ...(policies === undefined ? {} : { BAILIWICK_POLICIES: policies }),
      ...(permitsNothing ? { BAILIWICK_PERMITS_NOTHING: '1' } : {}),
      ...(config === undefined ? {} : { BAILIWICK_GATEWAY_CONFIG: config }),
    }
    const env = { ...io.env, ...given }
    done(await serve(plain ? plainMain : mainOf(service ?? 'standalone'), env, io))
  })
}

const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Stops the service when this process is gone, even after SIGKILL: the kernel then closes the channel between them. Otherwise the service
 * would continue alone, and keep the port and the data directory from the next one.
 */
const stopWithoutUs =
  "data:text/javascript,process.once('disconnect',()=>process.kill(process.pid,'SIGTERM'));process.channel?.unref()"

/** npm forwards a terminal's Ctrl-C, so one request to stop arrives as several signals. */
const SAME_WISH_MS = 1000

export interface ServeHost extends Pick<Io, 'clock' | 'err'> {
  args?: readonly string[]
  /** Where the request to stop arrives; default: this process. */
  told?: Pick<EventEmitter, 'on' | 'off'>
  /** When it resolves, the service is asked to stop. */
  until?: Promise<void>
}

/**
 * Runs the service `main` on this Node until it ends, and forwards signals. Several signals of one request are forwarded once, because a
 * signal that reaches a process at its very end kills it. The service stops if this process is killed. Returns its exit code; after a
 * signal, the shell's code for that signal. A signal that was not sent through this process is reported, because the killed process cannot
 * report it.
 */
export async function serve(
  main: string,
  env: NodeJS.ProcessEnv,
  { clock, err, args = [], told = process, until }: ServeHost,
): Promise<ExitCode> {
  const child = spawn(process.execPath, [...nodeArguments(env), '--import', stopWithoutUs, main, ...args], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env,
  })
  let last: { signal: NodeJS.Signals; at: number } | undefined
  const forward = (signal: NodeJS.Signals) => {
    const at = clock.monotonic()
    // SIGHUP may mean that files are to be read again, and then another signal after it is another wish.
    const isOther = last?.signal === 'SIGHUP' && signal !== 'SIGHUP'
    if (last !== undefined && !isOther && at - last.at < SAME_WISH_MS) return
    last = { signal, at }
    child.kill(signal)
  }
  for (const signal of forwarded) told.on(signal, forward)
  void until?.then(() => forward('SIGTERM'))
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
    if (signal !== null && last === undefined)
      err(
        `bailiwick: its process was ended by ${signal}, either by another process or because memory ran out: start it again`,
      )
    return code ?? 128 + (signal === null ? 0 : constants.signals[signal])
  } catch (cause) {
    throw new ServiceError('config_invalid', `${main} could not be started`, { cause })
  } finally {
    for (const signal of forwarded) told.off(signal, forward)
  }
}
