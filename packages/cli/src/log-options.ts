import type { Command } from 'commander'
import type { Io } from './io.ts'
import { type DataOption, withData } from './options.ts'

/** The log, and the key that signs it. */
export interface LogOptions extends DataOption {
  log?: string
  vkey?: string
}

export function withLog(command: Command, io: Io): Command {
  return withData(command, io)
    .option('--log <dir or url>', "the log's folder or address (default: the data directory's)")
    .option('--vkey <file or text>', "the log's public key (default: the one in the data directory's trust.json)")
}
