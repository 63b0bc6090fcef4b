import type { Clock } from './clock.ts'

/** What `untilStopped` needs of a process; a test passes its own. */
export interface SignalHost {
  on(signal: 'SIGINT' | 'SIGTERM', stop: (signal: NodeJS.Signals) => void): unknown
  exit(code: number): unknown
}

/**
 * Resolves with the first stop signal; main.ts then lets its disposers run. npm passes a terminal's Ctrl-C on, so it comes
 * twice at once: only one that comes more than a second later ends the process there and then, with exit code 1.
 */
export function untilStopped(clock: Clock, host: SignalHost = process): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>()
  let first: number | undefined
  const stop = (signal: NodeJS.Signals) => {
    first ??= clock.monotonic()
    if (clock.monotonic() - first > 1000) host.exit(1)
    resolve(signal)
  }
  host.on('SIGINT', stop)
  host.on('SIGTERM', stop)
  return promise
}
