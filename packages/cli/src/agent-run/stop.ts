import type { EventEmitter } from 'node:events'
import { after, type Clock } from '@bailiwick/kit'
import type { Program } from './program.ts'

export interface Stop extends Disposable {
  /** Aborted by the first wish to stop. */
  readonly signal: AbortSignal
  /** Once it runs, signals are passed on to it. */
  program: Pick<Program, 'tell' | 'pause' | 'kill'> | undefined
}

export interface StopOptions {
  /** Where signals arrive: the process. */
  told: Pick<EventEmitter, 'on' | 'off'>
  clock: Clock
  /** Stops this process until it gets SIGCONT. */
  sleep: () => void
}

/** How long a program may go on that was told to stop, in ms. */
const graceMs = 5000
/** A Ctrl-C arrives twice if npx started this command: from the terminal, and from npx, which passes it on. In ms. */
const sameWishMs = 200
const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const

/**
 * What a person wants of a command that runs a program. No terminal signals the program, because it has a session of its own, so this passes
 * on all that a terminal says: Ctrl-C, Ctrl-\, Ctrl-Z and its end, another size, and that it was closed.
 */
export function stopOf({ told, clock, sleep }: StopOptions): Stop {
  const stopping = new AbortController()
  const over = new AbortController()
  let interruptedAt = Number.NEGATIVE_INFINITY
  const onStop = (signal: NodeJS.Signals) => {
    stopping.abort()
    const { program } = stop
    if (program === undefined) return
    if (signal === 'SIGINT') {
      const now = clock.monotonic()
      if (now - interruptedAt > sameWishMs) program.tell(signal)
      interruptedAt = now
      // A program before a terminal decides by itself what Ctrl-C means.
      return
    }
    program.tell(signal)
    void after(graceMs, over.signal).then(
      () => program.kill(),
      () => undefined,
    )
  }
  const passOn = (signal: NodeJS.Signals) => stop.program?.tell(signal)
  const onPause = () => {
    stop.program?.pause()
    sleep()
  }
  const handlers = new Map<NodeJS.Signals, (signal: NodeJS.Signals) => void>([
    ...stopSignals.map((signal) => [signal, onStop] as const),
    ['SIGWINCH', passOn],
    ['SIGTSTP', onPause],
    ['SIGCONT', passOn],
  ])
  for (const [signal, handler] of handlers) told.on(signal, handler)
  const stop: Stop = {
    signal: stopping.signal,
    program: undefined,
    [Symbol.dispose]() {
      over.abort()
      for (const [signal, handler] of handlers) told.off(signal, handler)
    },
  }
  return stop
}
