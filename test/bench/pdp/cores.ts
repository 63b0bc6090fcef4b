import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Gives one core to the measured process, and another to the load. Restores the load's cores at the end. */
export class TwoCores implements Disposable {
  readonly #before: string
  readonly #server: string | undefined
  readonly #load: string | undefined

  constructor() {
    this.#before = allowedCores()
    const [server, load] = each(this.#before)
    // Existing threads keep their affinity, so all of them are moved, and future ones inherit it.
    if (server === undefined || load === undefined || !keepOn(process.pid, load)) return
    this.#server = server
    this.#load = load
  }

  /** In words, for the readers of the numbers. */
  get how(): string {
    return this.#server === undefined
      ? '**Not pinned** (no `taskset`, or one core): server and load compete for the same cores.'
      : `The server has core ${this.#server} to itself with all its threads, the load core ${this.#load}.`
  }

  /** Called before the process works: it was just spawned. */
  takeServer(pid: number): void {
    if (this.#server !== undefined) keepOn(pid, this.#server)
  }

  [Symbol.dispose](): void {
    if (this.#load !== undefined) keepOn(process.pid, this.#before)
  }
}

const keepOn = (pid: number, cores: string): boolean =>
  spawnSync('taskset', ['--all-tasks', '--cpu-list', '--pid', cores, String(pid)], { stdio: 'ignore' }).status === 0

/** As the kernel lists them, "0-1,4"; empty where the kernel does not say. */
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
