import type { Clock, RandomSource } from '@bailiwick/service-kit'

/** What a command may touch of the process around it: main.ts passes the real one, a test its own. */
export interface Io {
  /** A line of what was asked for. */
  out(line: string): void
  /** Whether a person reads `out` on a terminal, and nothing keeps it: only there is a secret printed. */
  readonly terminal?: boolean
  /** A line about how it went. */
  err(line: string): void
  /** Replaces the line before it; absent where nobody watches. */
  progress?: ((line: string) => void) | undefined
  /** Standard input, read once somebody asks for it. */
  readonly input?: AsyncIterable<Uint8Array>
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly random: RandomSource
}

/** 0: well; 1: a fault was found, or the answer is no; 2: it could not run. */
export type ExitCode = number

export const exitCodes = { ok: 0, fault: 1, couldNotRun: 2 } as const
