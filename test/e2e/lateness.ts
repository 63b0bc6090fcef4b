import { readFileSync } from 'node:fs'

const everyMs = 250
/** A head this late is lost, and a few lost heads make a standby (DESIGN §5). */
const muchMs = 500
const withinMs = 5000

/**
 * Measures whether the machine made this thread wait although it was ready to run, because no core was free. Other
 * processes cause that. Long work of the system itself on this thread does not count as waiting, and excuses nothing.
 */
export class Lateness {
  readonly #waits: { at: number; ms: number }[] = []

  constructor() {
    setInterval(() => this.#look(), everyMs).unref()
  }

  /** Whether the thread waited that long within the last seconds. */
  wasLate(): boolean {
    this.#look()
    return (this.#waits.at(-1)?.ms ?? 0) - (this.#waits[0]?.ms ?? 0) >= muchMs
  }

  #look(): void {
    const now = performance.now()
    this.#waits.push({ at: now, ms: waitedMs() })
    // One sample from before the window stays: while nothing runs here, no sample is taken either.
    while ((this.#waits[1]?.at ?? now) < now - withinMs) this.#waits.shift()
  }
}

/** Linux counts it (proc_pid_schedstat: run time, time on the run queue in ns, slices); elsewhere no machine counts as late. */
function waitedMs(): number {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[1]) / 1e6
  } catch {
    return 0
  }
}
