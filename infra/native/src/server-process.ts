import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceError } from '@bailiwick/errors'
import { dockerRun, keeper } from './container.ts'
import { lastLines, runProgram } from './programs.ts'
import { endWithThis } from './watchdog.ts'

/** How to run one server. Its output is appended to `log`. */
export interface ServerCommand {
  name: string
  program: string
  /** The program is run from this image. */
  image?: string | undefined
  args: readonly string[]
  log: string
}

/** A server that runs as a child of this process, and ends with it however it ends. */
export interface ServerProcess {
  readonly pid: number
  /** The name of its container, where it runs in one. */
  readonly container?: string
  running(): boolean
  /** Sends a signal. After SIGKILL and SIGTERM, resolves when the process is gone; otherwise at once. */
  kill(signal: NodeJS.Signals): Promise<void>
}

/** Starts a server. It may not be ready yet, and may end again at once: use {@link untilReady}. */
export function startServer({ name, program, image, args, log }: ServerCommand): ServerProcess {
  const output = openSync(log, 'a', 0o600)
  const container = `bailiwick-${randomBytes(8).toString('hex')}`
  const kept = ['/bin/sh', '-c', keeper, 'sh', program, ...args]
  const [file, line] = image ? ['docker', dockerRun(image, kept, ['-i', '--name', container])] : [program, args]
  // A process group of its own: a terminal's Ctrl-C reaches this process, which ends its servers in its own order.
  const child = spawn(file, line, { detached: true, stdio: [image ? 'pipe' : 'ignore', output, output] })
  closeSync(output)
  child.on('error', () => {}) // no such program: the missing pid shows it below
  const { pid } = child
  if (pid === undefined) throw new ServiceError('service_unready', `${name} did not start: ${program}`)
  endWithThis(child)
  child.unref()
  ;(child.stdin as Socket | null)?.unref()
  return {
    pid,
    ...(image ? { container } : {}),
    running: () => isRunning(child),
    async kill(signal) {
      if (!isRunning(child)) return
      if (image) await signalContainer(container, signal, child)
      else child.kill(signal)
      if (signal !== 'SIGKILL' && signal !== 'SIGTERM') return
      child.ref() // otherwise a process with nothing else to do would end here, before the server
      if (isRunning(child)) await once(child, 'exit')
    },
  }
}

/** The first process of a container is not the server: to stop the server, all processes must stop. */
async function signalContainer(container: string, signal: NodeJS.Signals, child: ChildProcess): Promise<void> {
  const verb =
    signal === 'SIGSTOP' ? ['pause'] : signal === 'SIGCONT' ? ['unpause'] : ['kill', '--signal', signal.slice(3)]
  while (isRunning(child)) {
    try {
      await runProgram('docker', [...verb, container], 60)
      return
    } catch (error) {
      // The container is still being made, or has just ended.
      if (!/No such container|is not running/i.test(String(error))) throw error
      await sleep(50)
    }
  }
}

/** Ends a server, in an orderly way for as long as the grace period lasts. */
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

/** The last lines that a server wrote, without Java's stack traces, which would fill all of them. */
function endOfLog(log: string): string {
  return lastLines(readFileSync(log, 'utf8').replace(/^\s+(at |\.\.\. \d+ more).*\n/gm, ''), 30)
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null
}
