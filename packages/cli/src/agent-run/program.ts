import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { ServiceError } from '@bailiwick/errors'
import type { Containment } from './containment.ts'

export interface ProgramOptions {
  command: readonly [string, ...string[]]
  env: Record<string, string>
  containment: Containment
  /** Whether a person sits before it. A contained program then keeps the terminal, and gets Ctrl-C from it. */
  terminal: boolean
}

/** A running program, with everything that it started. */
export interface Program {
  /** The shell's exit code. Rejects with `config_invalid` if the program could not be started. */
  readonly ended: Promise<number>
  /** Passes on a wish to stop. */
  tell(signal: NodeJS.Signals): void
  /** Ends it and everything that it started, at once. */
  kill(): void
}

/**
 * Starts the program. Contained, all that it starts is in a process namespace, and ends with it, however it was started. Not contained, it
 * leads a process group, and a process that leaves the group outlives it.
 */
export function startProgram({ command, env, containment, terminal }: ProgramOptions): Program {
  const { before, isContained } = containment
  const [file = '', ...args] = [...before, ...command]
  const leadsGroup = !(isContained && terminal)
  const child = spawn(file, args, { stdio: 'inherit', env, detached: leadsGroup })
  let isOver = child.pid === undefined
  const send = (signal: NodeJS.Signals, toGroup: boolean) => {
    const { pid } = child
    if (pid === undefined) return
    try {
      process.kill(toGroup ? -pid : pid, signal)
    } catch {
      // It has ended.
    }
  }
  child.once('exit', () => {
    isOver = true // its number may soon be another process's
    if (!isContained) send('SIGKILL', true)
  })
  return {
    ended: codeOf(child, command[0]),
    tell(signal) {
      if (isOver) return
      if (leadsGroup) send(signal, true)
      // The terminal gives Ctrl-C to the whole group by itself. Other signals cannot reach the program alone.
      else if (signal !== 'SIGINT') send('SIGKILL', false)
    },
    kill() {
      if (isOver) return
      if (leadsGroup) send('SIGKILL', true)
      send('SIGKILL', false)
    },
  }
}

function codeOf(child: ChildProcess, command: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (cause) =>
      reject(new ServiceError('config_invalid', `${command} could not be started`, { cause })),
    )
    child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])))
  })
}
