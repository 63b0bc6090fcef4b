import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceError } from '@bailiwick/errors'
import { lastLines } from './programs.ts'
import { endWithThis } from './watchdog.ts'

/** How to run one server. Its output is appended to `log`. */
export interface ServerCommand {
  name: string
  program: string
  args: readonly string[]
  log: string
}

/** A server that runs as a child of this process, and ends with it whatever ends it. */
export interface ServerProcess {
  readonly pid: number
  running(): boolean
  /** Sends a signal. After SIGKILL and SIGTERM resolves when the process is gone; else at once. */
  kill(signal: NodeJS.Signals): Promise<void>
}

/** Starts a server. It may not be ready yet, and may end again at once: ask {@link untilReady}. */
export function startServer({ name, program, args, log }: ServerCommand): ServerProcess {
  const output = openSync(log, 'a', 0o600)
  // A process group of its own: a terminal's Ctrl-C reaches this process, which ends its servers in its own order.
  const child = spawn(program, args, { detached: true, stdio: ['ignore', output, output] })
  closeSync(output)
  child.on('error', () => {}) // no such program: seen below by the missing pid
  const { pid } = child
  if (pid === undefined) throw new ServiceError('service_unready', `${name} did not start: ${program}`)
  endWithThis(child)
  child.unref()
  return {
    pid,
    running: () => isRunning(child),
    async kill(signal) {
      if (!isRunning(child)) return
      child.kill(signal)
      if (signal !== 'SIGKILL' && signal !== 'SIGTERM') return
      child.ref() // else a process with nothing else to do would end here, before the server
      if (isRunning(child)) await once(child, 'exit')
    },
  }
}

/** Ends a server: politely at first, for as long as the grace lasts. */
export async function stopServer(server: ServerProcess, graceMillis: number): Promise<void> {
  if (graceMillis > 0) await Promise.race([server.kill('SIGTERM'), sleep(graceMillis, undefined, { ref: false })])
  await server.kill('SIGKILL')
}

/**
 * Resolves when `ready` says so; asks again every 20 ms. Rejects when a server ends meanwhile, with the end of its log,
 * or when the time is up.
 */
export async function untilReady(
  command: ServerCommand,
  server: ServerProcess,
  ready: () => Promise<boolean>,
  timeoutSeconds: number,
): Promise<void> {
  const deadline = performance.now() + timeoutSeconds * 1000
  while (!(await ready())) {
    const late = performance.now() > deadline
    if (!late && server.running()) await sleep(20)
    else {
      const what = late ? `is not ready after ${timeoutSeconds} s` : 'ended before it was ready'
      throw new ServiceError('service_unready', `${command.name} ${what}:\n${endOfLog(command.log)}`)
    }
  }
}

/** The last lines that a server wrote, without Java's stacks, which would be all of it. */
function endOfLog(log: string): string {
  return lastLines(readFileSync(log, 'utf8').replace(/^\s+(at |\.\.\. \d+ more).*\n/gm, ''), 30)
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null
}
