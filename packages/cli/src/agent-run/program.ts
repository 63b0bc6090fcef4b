import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { accessSync, constants as modes, statSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, resolve } from 'node:path'
import { ServiceError } from '@bailiwick/errors'
import type { Containment } from './containment.ts'

export interface ProgramOptions {
  command: readonly [string, ...string[]]
  env: Record<string, string>
  containment: Containment
}

/** Throws `config_invalid` if this is no program that could be started: before a human is asked for it. */
export function mustBeProgram(
  file: string,
  { cwd, path = '/usr/bin:/bin' }: { cwd: string; path: string | undefined },
): void {
  if (process.platform === 'win32') return // it looks for other names too
  const folders = file.includes('/') ? [''] : path.split(delimiter)
  if (!folders.some((folder) => isProgram(resolve(cwd, folder, file))))
    throw new ServiceError('config_invalid', `${file} is no program that can be started from here`)
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, modes.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/** A running program, with everything that it started. */
export interface Program {
  /** The shell's exit code. Rejects with `config_invalid` if the program could not be started. */
  readonly ended: Promise<number>
  /** Passes on a signal. A program that was stopped goes on, so that it can obey. */
  tell(signal: NodeJS.Signals): void
  /** Suspends it. `tell` continues it. */
  pause(): void
  /** Ends it and everything that it started, at once. */
  kill(): void
}

/**
 * Starts the program. Contained, all that it starts is in a process namespace, and ends with it, however it was started. Not contained, a
 * process that leaves its group outlives it.
 *
 * It leads a session, and so a group, of its own, also before a terminal. In the group of this command it could stop the command with
 * `kill(0, SIGSTOP)`, which works through namespaces, and would outlive its task. In its session it could type into the terminal, and the
 * person's shell would run that. The terminal therefore signals this command alone, which passes on what a person wants.
 */
export function startProgram({ command, env, containment }: ProgramOptions): Program {
  const { before, isContained } = containment
  const [file = '', ...args] = [...before, ...command]
  const child = spawn(file, args, { stdio: 'inherit', env, detached: true })
  let isOver = child.pid === undefined
  const sendToGroup = (signal: NodeJS.Signals) => {
    const { pid } = child
    if (pid === undefined) return
    try {
      process.kill(-pid, signal)
    } catch {
      // It has ended.
    }
  }
  child.once('exit', () => {
    isOver = true // its number may soon be another process's
    if (!isContained) sendToGroup('SIGKILL')
  })
  return {
    ended: codeOf(child, command[0]),
    tell(signal) {
      if (isOver) return
      sendToGroup(signal)
      if (signal !== 'SIGWINCH') sendToGroup('SIGCONT')
    },
    pause() {
      if (!isOver) sendToGroup('SIGSTOP')
    },
    kill() {
      if (isOver) return
      sendToGroup('SIGKILL')
      child.kill('SIGKILL')
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

/** A program that was killed may have left the terminal as an editor wants it: raw, on its other screen, without a cursor. */
export function restoreTerminal(): void {
  if (!process.stdin.isTTY && !process.stdout.isTTY) return
  spawnSync('stty', ['sane'], { stdio: [process.stdin.isTTY ? 'inherit' : process.stdout.fd, 'ignore', 'ignore'] })
  if (process.stdout.isTTY) process.stdout.write('\u001b[?1049l\u001b[?25h\u001b[0m')
}
