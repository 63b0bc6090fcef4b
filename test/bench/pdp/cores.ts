import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** One core for what is measured, and another for what asks it; back where it was at its end. */
export class TwoCores implements Disposable {
  readonly #before: string
  readonly #server: string | undefined
  readonly #load: string | undefined

  constructor() {
    this.#before = allowedCores()
    const [server, load] = each(this.#before)
    // Threads keep what they have: all of them are moved, and those to come follow.
    if (server === undefined || load === undefined || !keepOn(process.pid, load)) return
    this.#server = server
    this.#load = load
  }

  /** In words, for whoever judges the numbers. */
  get how(): string {
    return this.#server === undefined
      ? '**Not pinned** (no `taskset`, or one core): server and load compete for the same cores.'
      : `The server has core ${this.#server} to itself with all its threads, the load core ${this.#load}.`
  }

  /** Before it works: a process that was just spawned. */
  takeServer(pid: number): void {
    if (this.#server !== undefined) keepOn(pid, this.#server)
  }

  [Symbol.dispose](): void {
    if (this.#load !== undefined) keepOn(process.pid, this.#before)
  }
}

const keepOn = (pid: number, cores: string): boolean =>
  spawnSync('taskset', ['--all-tasks', '--cpu-list', '--pid', cores, String(pid)], { stdio: 'ignore' }).status === 0

/** As the kernel lists them, "0-1,4"; empty where it does not tell. */
function allowedCores(): string {
  try {
    return /^Cpus_allowed_list:\s+(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? ''
  } catch {
    return ''
  }
}

const each = (list: string): string[] =>
  list.split(',').flatMap((range) => {
    const [from, to = from] = range.split('-')
    return from ? Array.from({ length: Number(to) - Number(from) + 1 }, (_, n) => String(Number(from) + n)) : []
  })
