import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { nodeArguments } from '@bailiwick/host'
import { endWithThis } from '@bailiwick/native'
import type { TwoCores } from './cores.ts'

const keptCharacters = 4000
const readyWithinMs = 120_000
const stopsWithinMs = 10_000

interface Started {
  env?: Readonly<Record<string, string>>
  port: number
  /** Shares all cores unless given. */
  cores?: TwoCores
}

/** A measured process, on its core, started as `bailiwick serve` starts one. It ends with the bench, however the bench ends. */
export class Server implements AsyncDisposable {
  readonly url: string
  readonly pid: number
  readonly #child: ChildProcess
  #output = ''

  private constructor(url: string, child: ChildProcess) {
    if (child.pid === undefined) throw new Error('a server could not be started')
    this.url = url
    this.pid = child.pid
    this.#child = child
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString()).slice(-keptCharacters)
      })
  }

  /** Resolves once its `/readyz` answers 200. `main`: a program for Node.js. */
  static start({ main, args = [], ...options }: Started & { main: string; args?: readonly string[] }): Promise<Server> {
    return Server.run(process.execPath, [...nodeArguments(process.env), main, ...args], options)
  }

  /** The same for any other program. */
  static async run(program: string, args: readonly string[], { env = {}, port, cores }: Started): Promise<Server> {
    const child = spawn(program, args, {
      env: { PATH: process.env.PATH ?? '', BAILIWICK_PORT: String(port), BAILIWICK_LOG_LEVEL: 'warn', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    endWithThis(child)
    const server = new Server(`http://localhost:${port}`, child)
    cores?.takeServer(server.pid)
    await server.#ready()
    return server
  }

  async #ready(): Promise<void> {
    for (const end = performance.now() + readyWithinMs; performance.now() < end; await setTimeout(50)) {
      const answer = await fetch(`${this.url}/readyz`, { signal: AbortSignal.timeout(2000) }).catch(() => undefined)
      await answer?.arrayBuffer().catch(() => undefined)
      if (answer?.status === 200) return
      if (this.#child.exitCode !== null) break
    }
    throw new Error(`a server does not get ready:\n${this.#output}`)
  }

  /** Suspends it, so that it uses no time of the core. */
  hold(): void {
    process.kill(this.pid, 'SIGSTOP')
  }

  /** Resumes it, and resolves once it is ready again: its state is no longer fresh (V8). */
  async release(): Promise<void> {
    process.kill(this.pid, 'SIGCONT')
    await this.#ready()
  }

  /** Stops it in order, so that its log has all that it decided. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    this.#child.kill('SIGCONT')
    const kill = globalThis.setTimeout(() => this.#child.kill('SIGKILL'), stopsWithinMs)
    await ended
    clearTimeout(kill)
  }
}
