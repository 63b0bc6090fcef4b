import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { paths } from '@bailiwick/installation'
import { endWithThis } from '@bailiwick/native'
import { sample, sampleAgentId, sampleKeyFile } from '@bailiwick/standalone/sample'

/** Where a gateway and its installation are. */
interface RunWorld {
  readonly url: string
  readonly system: { readonly data: string }
}

const cli = join(import.meta.dirname, '../../packages/cli/src/main.ts')

/** What a system must have for the program to be contained. In CI the tests run, and fail, where it is missing. */
export const canContain = (() => {
  try {
    execFileSync('unshare', ['--user', '--map-root-user', '--pid', '--fork', '--mount-proc', 'true'], {
      stdio: 'ignore',
    })
    return true
  } catch {
    return process.env.CI === 'true'
  }
})()

/** Credentials that a person has in the shell from which the command is started. */
export const shellSecrets = {
  GITHUB_TOKEN: 'canary-github-0123456789',
  AWS_SECRET_ACCESS_KEY: 'canary-aws-0123456789',
  DATABASE_URL: 'postgres://app:canary-db-0123456789@db/app',
  SSH_AUTH_SOCK: '/tmp/canary-agent.sock',
  OPENAI_API_KEY: 'sk-canary-0123456789abcdef',
}

/** A folder for what the programs of a test do, and the command that runs them as the sample agent. */
export class RunPlace implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'bailiwick-run-'))
  readonly key: string
  readonly #world: RunWorld

  constructor(world: RunWorld) {
    this.#world = world
    this.key = sampleKeyFile(world.system.data, 'reconciler')
    mkdirSync(this.at('home'))
  }

  at(...names: string[]): string {
    return join(this.folder, ...names)
  }

  read(name: string): string {
    return existsSync(this.at(name)) ? readFileSync(this.at(name), 'utf8') : ''
  }

  write(name: string, text: string): string {
    writeFileSync(this.at(name), text)
    return this.at(name)
  }

  /** Starts `bailiwick agent run` with these options, and this program of the given script for Node.js. */
  run(options: readonly string[], script: string, ...args: string[]) {
    return this.start(options, [process.execPath, this.write('program.mjs', script), ...args])
  }

  /** `terminal`: whether the command runs before a terminal, which then shows all that it says. */
  start(options: readonly string[], command: readonly string[], { terminal = false } = {}) {
    const { url, system } = this.#world
    const words = [
      ...['agent', 'run', '--gateway', url, '--key', this.key, '--trust', paths(system.data).trust],
      ...['--data', system.data, '--agent', `${sampleAgentId('reconciler')}/${sample.instance}`],
      ...options,
    ]
    const { PATH = '' } = process.env
    const all = [process.execPath, cli, ...words, '--', ...command]
    const line = all.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
    const [file = '', ...args] = terminal ? ['script', '-qec', line, '/dev/null'] : all
    const child = spawn(file, args, {
      cwd: this.folder,
      env: { PATH, HOME: this.at('home'), LANG: 'C.UTF-8', ...shellSecrets },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    endWithThis(child)
    const said = { out: '', err: '' }
    child.stdout.on('data', (chunk) => (said.out += String(chunk)))
    child.stderr.on('data', (chunk) => (said.err += String(chunk)))
    const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)))
    return { child, said, ended }
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Whether a process is there and is more than a name that waits for its parent. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
