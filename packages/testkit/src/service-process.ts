import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { ServiceName } from '@bailiwick/contracts'
import { nodeArguments } from '@bailiwick/host'
import { systemClock } from '@bailiwick/kit'
import { endWithThis } from '@bailiwick/native'

const keptCharacters = 20_000
const keptErrors = 200
const restartMs = 1000
const repository = join(import.meta.dirname, '../../..')
// V8's compiled code is kept between starts: a start then costs half a second of a core instead of more than one. It is
// written soon after the start, because a killed process writes nothing at its end.
const compileCache = join(repository, 'node_modules/.cache/compile')
const keepCompiled = `data:text/javascript,import{enableCompileCache,flushCompileCache}from'node:module';
enableCompileCache(${JSON.stringify(compileCache)});setTimeout(flushCompileCache,2000).unref()`

export interface ServiceProcessOptions {
  service: ServiceName | 'standalone' | 'gateway'
  /** Its whole environment. */
  env: Readonly<Record<string, string>>
  /**
   * Starts it again after it ended on its own, as a supervisor would: a service stops when it can no longer know what
   * is true.
   */
  supervised?: boolean
  /** A command that runs the rest of its line in its own place, such as `nsenter`; none unless given. */
  through?: readonly string[]
}

/**
 * A service as `bailiwick serve` runs it. It can be killed at any moment and started again with the same settings, and
 * ends with the process that started it.
 */
export class ServiceProcess implements AsyncDisposable {
  readonly service: ServiceName | 'standalone' | 'gateway'
  readonly url: string
  readonly #env: Readonly<Record<string, string>>
  readonly #supervised: boolean
  readonly #through: readonly string[]
  #child: ChildProcess | undefined
  #exited: Promise<unknown> = Promise.resolve()
  #expected = true
  /** Its latest output. A failing run shows it. */
  output = ''
  /** How often it ended on its own. No test plans that. */
  crashes = 0
  /** How often it ended because another instance took over. It is started again at once, as a supervisor would, and stands by. */
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
      // Not `exit`: at that time its last output may still be on its way.
      child.once('close', (code, signal) => {
        if (!this.#expected && said.includes('took over: this instance stops')) {
          this.successions++
          this.start()
        } else if (!this.#expected) {
          this.crashes++
          keep(Buffer.from(`\n[ended by itself: ${code ?? signal}]\n`))
          // Printed at once, because a caller that waits for this service may never get to print it.
          process.stderr.write(`${this.service} at ${this.url} ended by itself:\n${this.output.slice(-4000)}`)
          if (this.#supervised) setTimeout(() => this.#expected || this.start(), restartMs)
        }
        resolve(code)
      })
    })
  }

  /** Restarts a service that ended on its own, as a supervisor would; that end is not counted against it. */
  restart(): void {
    this.crashes--
    this.start()
  }

  /** Resolves once it reports ready. Rejects with its last output when it ended or is late. */
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

  /** SIGSTOP and SIGCONT: it stands still, and continues. SIGHUP: a gateway reads its file again. */
  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGHUP'): void {
    process.kill(this.pid, signal)
  }

  /** SIGKILL: no handler runs, nothing is flushed. */
  async kill(): Promise<void> {
    this.#expected = true
    this.#child?.kill('SIGKILL')
    await this.#exited
  }

  /** An orderly stop, which returns its exit code. */
  async stop(): Promise<unknown> {
    this.#expected = true
    this.#child?.kill('SIGTERM')
    return this.#exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }
}
