import type { Clock, RandomSource } from '@bailiwick/kit'

/** The parts of its process that a command may use: main.ts passes the real ones, a test its own. */
export interface Io {
  /** Prints a line of the requested result. */
  out(line: string): void
  /** Whether `out` goes to a person on a terminal and is not stored: only there is a secret printed. */
  readonly terminal?: boolean
  /** Prints a line about how it went. */
  err(line: string): void
  /** Replaces the previous line; absent if no person is watching. */
  progress?: ((line: string) => void) | undefined
  /** Standard input, read only when a command asks for it. Destroyed, it keeps this process no longer. */
  readonly input?: AsyncIterable<Uint8Array> & { destroy?(): unknown }
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly random: RandomSource
}

/** 0: success; 1: a fault was found, or the answer is no; 2: it could not run. */
export type ExitCode = number

export const exitCodes = { ok: 0, fault: 1, couldNotRun: 2 } as const
