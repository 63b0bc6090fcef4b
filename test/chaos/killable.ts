import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const main = join(import.meta.dirname, '../../services/standalone/src/main.ts')
const readyWithinMs = 30_000
const keptCharacters = 20_000
const keptErrors = 200

/** The standalone process as `bailiwick serve` runs it, to be killed at any moment and started again on the same data. */
export class Killable {
  readonly url: string
  readonly #env: NodeJS.ProcessEnv
  #child: ChildProcess | undefined
  #exited: Promise<unknown> = Promise.resolve()
  #killed = false
  /** What it said last; a run that fails shows it. */
  output = ''
  /** Its log lines at level error, since the first start. */
  readonly errors: string[] = []
  /** It ended by itself: never a part of the plan. */
  crashes = 0

  constructor(options: { data: string; port: number }) {
    this.url = `http://localhost:${options.port}`
    this.#env = {
      ...process.env,
      BAILIWICK_DATA: options.data,
      BAILIWICK_PORT: String(options.port),
      BAILIWICK_LOG_PUBLIC: '1',
      BAILIWICK_LOG_LEVEL: 'warn',
    }
  }

  start(): void {
    const child = spawn(process.execPath, [main], { env: this.#env, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    this.#killed = false
    const keep = (chunk: Buffer) => {
      this.output = (this.output + chunk.toString()).slice(-keptCharacters)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    createInterface({ input: child.stderr }).on('line', (line) => {
      if (/"level":"(error|fatal)"/.test(line) && this.errors.length < keptErrors) this.errors.push(line)
    })
    this.#exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        if (!this.#killed) {
          this.crashes++
          keep(Buffer.from(`\n[ended by itself: ${code ?? signal}]\n`))
        }
        resolve(code)
      })
    })
  }

  /** Resolves once all four services say that they are ready. */
  async ready(): Promise<void> {
    const deadline = performance.now() + readyWithinMs
    while (performance.now() < deadline) {
      const answer = await fetch(`${this.url}/readyz`).catch(() => undefined)
      await answer?.arrayBuffer()
      if (answer?.status === 200) return
      if (this.#child?.exitCode !== null) break
      await pause(25)
    }
    throw new Error(`standalone does not get ready:\n${this.output}`)
  }

  /** SIGKILL: no handler runs, nothing is flushed. */
  async kill(): Promise<void> {
    this.#killed = true
    this.#child?.kill('SIGKILL')
    await this.#exited
  }

  /** An orderly stop, which gives its exit code. */
  async stop(): Promise<unknown> {
    this.#killed = true
    this.#child?.kill('SIGTERM')
    return this.#exited
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
