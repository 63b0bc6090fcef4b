import type { Clock } from '@bailiwick/kit'

/** Ctrl-C, a supervisor, or a terminal that was closed. */
const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** What `untilStopped` needs of a process; a test passes its own. */
export interface SignalHost {
  on(signal: (typeof stopSignals)[number], stop: (signal: NodeJS.Signals) => void): unknown
  once(event: 'exit', end: (code: number) => void): unknown
  exit(code: number): unknown
}

export interface UntilStoppedOptions {
  /** Default: all three. A process that reads its files again upon SIGHUP leaves that one out. */
  signals?: readonly (typeof stopSignals)[number][]
  /** Called before a second signal ends the process immediately. */
  impatient?: (signal: NodeJS.Signals) => void
  /** Default: this process. */
  host?: SignalHost
}

/** A Ctrl-C in a terminal arrives twice: from the terminal, and from npm, which passes it on. */
const sameWishMs = 1000

/**
 * Resolves with the first stop signal; main.ts then lets its disposers run. A second signal within a second counts as the same one. A later
 * one means impatience: the process ends at once, with exit code 1 because nothing was closed.
 */
export function untilStopped(
  clock: Clock,
  { impatient, host = process, signals = stopSignals }: UntilStoppedOptions = {},
): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>()
  let first: number | undefined
  const stop = (signal: NodeJS.Signals) => {
    first ??= clock.monotonic()
    if (clock.monotonic() - first > sameWishMs) {
      impatient?.(signal)
      host.exit(1)
    }
    resolve(signal)
  }
  for (const signal of signals) host.on(signal, stop)
  // Node removes its handlers some 20 ms before the process is gone. The same signal again in that time would turn an orderly end
  // into a death by signal. Leaving from the exit event skips that teardown.
  host.once('exit', (code) => host.exit(code))
  return promise
}
