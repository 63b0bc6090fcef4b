import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { ServiceName } from '@bailiwick/contracts'
import { endWithThis } from '@bailiwick/native'
import { nodeArguments, systemClock } from '@bailiwick/service-kit'

const keptCharacters = 20_000
const keptErrors = 200
const restartMs = 1000
const repository = join(import.meta.dirname, '../../..')
// What V8 compiled is kept from one start to the next: each costs half a second of a core instead of more than one. Written
// soon after the start, for who is killed writes nothing at the end.
const compileCache = join(repository, 'node_modules/.cache/compile')
const keepCompiled = `data:text/javascript,import{enableCompileCache,flushCompileCache}from'node:module';
enableCompileCache(${JSON.stringify(compileCache)});setTimeout(flushCompileCache,2000).unref()`

export interface ServiceProcessOptions {
  service: ServiceName | 'standalone'
  /** Its whole environment. */
  env: Readonly<Record<string, string>>
  /** Starts it again when it ended by itself, as whoever runs it does: it stops when it does not know what is true any more. */
  supervised?: boolean
  /** A command that runs the rest of its line in its own place, such as `nsenter`; none unless given. */
  through?: readonly string[]
}

/**
 * A service as `bailiwick serve` runs it, to be killed at any moment and started again with the same settings. It ends with the process
 * that started it.
 */
export class ServiceProcess implements AsyncDisposable {
  readonly service: ServiceName | 'standalone'
  readonly url: string
  readonly #env: Readonly<Record<string, string>>
  readonly #supervised: boolean
  readonly #through: readonly string[]
  #child: ChildProcess | undefined
  #exited: Promise<unknown> = Promise.resolve()
  #expected = true
  /** What it said last; a run that fails shows it. */
  output = ''
  /** How often it ended by itself: never a part of the plan. */
  crashes = 0
  /** How often it ended since another one took over; it is started again at once, as a supervisor would, and stands by. */
  successions = 0
  /** Its log lines at level error, since the first start. */
  readonly errors: string[] = []

  constructor({ service, env, supervised = false, through = [] }: ServiceProcessOptions) {
    this.service = service
    this.url = `http://localhost:${env.BAILIWICK_PORT}`
    this.#env = env
    this.#supervised = supervised
    this.#through = through
  }

  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined) throw new Error(`${this.service} does not run`)
    return pid
  }

  get running(): boolean {
    return this.#child?.exitCode === null && this.#child.signalCode === null
  }

  start(): void {
    const main = join(repository, 'services', this.service, 'src/main.ts')
    const node = [process.execPath, ...nodeArguments(this.#env), '--import', keepCompiled, main] as const
    const [program, ...args] = [...this.#through, ...node]
    const child = spawn(program ?? process.execPath, args, {
      env: this.#env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    endWithThis(child)
    this.#expected = false
    let said = ''
    const keep = (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-keptCharacters)
      this.output = (this.output + chunk.toString()).slice(-keptCharacters)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    createInterface({ input: child.stderr }).on('line', (line) => {
      if (/"level":"(error|fatal)"/.test(line) && this.errors.length < keptErrors) this.errors.push(line)
    })
    this.#exited = new Promise((resolve) => {
      // Not `exit`: then its last words may still be on their way.
      child.once('close', (code, signal) => {
        if (!this.#expected && said.includes('took over: this instance stops')) {
          this.successions++
          this.start()
        } else if (!this.#expected) {
          this.crashes++
          keep(Buffer.from(`\n[ended by itself: ${code ?? signal}]\n`))
          // At once: whoever waits for what it would have done may never come to show it.
          process.stderr.write(`${this.service} at ${this.url} ended by itself:\n${this.output.slice(-4000)}`)
          if (this.#supervised) setTimeout(() => this.#expected || this.start(), restartMs)
        }
        resolve(code)
      })
    })
  }

  /** As a supervisor starts what ended by itself; that end is forgiven. */
  restart(): void {
    this.crashes--
    this.start()
  }

  /** Resolves once it says that it is ready; rejects, with its last words, when it ended or is late. */
  async ready(ms = 120_000): Promise<void> {
    for (const deadline = systemClock.monotonic() + ms; systemClock.monotonic() < deadline; ) {
      const answer = await fetch(`${this.url}/readyz`, { signal: AbortSignal.timeout(1000) }).catch(() => undefined)
      await answer?.arrayBuffer().catch(() => undefined)
      if (answer?.status === 200) return
      if (this.#child?.exitCode !== null) break
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
    throw new Error(`${this.service} does not get ready:\n${this.output}`)
  }

  /** SIGSTOP and SIGCONT: it stands still, and goes on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    process.kill(this.pid, signal)
  }

  /** SIGKILL: no handler runs, nothing is flushed. */
  async kill(): Promise<void> {
    this.#expected = true
    this.#child?.kill('SIGKILL')
    await this.#exited
  }

  /** An orderly stop, which gives its exit code. */
  async stop(): Promise<unknown> {
    this.#expected = true
    this.#child?.kill('SIGTERM')
    return this.#exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }
}
