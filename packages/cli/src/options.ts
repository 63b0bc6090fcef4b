import type { Command } from 'commander'
import type { Io } from './io.ts'

export interface DataOption {
  data: string
}

export interface JsonOption {
  json?: true
}

/** `--data`: `BAILIWICK_DATA`, then `.bailiwick`, unless given; as every service reads it. */
export function withData(command: Command, io: Io): Command {
  return command.option('--data <dir>', 'the data directory', io.env.BAILIWICK_DATA || '.bailiwick')
}

export function withJson(command: Command): Command {
  return command.option('--json', 'answer in JSON, for a machine')
}

/** For an option that may be given more than once. */
export const collect = (value: string, before: readonly string[] = []): string[] => [...before, value]
