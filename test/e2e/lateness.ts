import { readFileSync } from 'node:fs'

const everyMs = 250
/** A head is lost by so much, and a few of them are a standby (DESIGN §5). */
const muchMs = 500
const withinMs = 5000

/**
 * Whether the machine kept this thread waiting: ready to run, and no core free for it. That is other work's doing. What the system itself does at
 * length, on this thread, is no waiting, and excuses nothing.
 */
export class Lateness {
  readonly #waits: { at: number; ms: number }[] = []

  constructor() {
    setInterval(() => this.#look(), everyMs).unref()
  }

  /** Of the last seconds. */
  wasLate(): boolean {
    this.#look()
    return (this.#waits.at(-1)?.ms ?? 0) - (this.#waits[0]?.ms ?? 0) >= muchMs
  }

  #look(): void {
    const now = performance.now()
    this.#waits.push({ at: now, ms: waitedMs() })
    // One from before the window stays: while nothing runs here, nothing is looked at either.
    while ((this.#waits[1]?.at ?? now) < now - withinMs) this.#waits.shift()
  }
}

/** Linux counts it (proc_pid_schedstat: run time, time on the run queue in ns, slices); elsewhere no machine is late. */
function waitedMs(): number {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[1]) / 1e6
  } catch {
    return 0
  }
}
