import type { Command } from 'commander'
import type { Io } from '../io.ts'
import { wholeNumber } from '../options.ts'

export interface ReadingOptions {
  config: string
  timeout: number
}

/** For commands that read a server of tools. */
export function withReading(command: Command): Command {
  return command
    .option('--config <file>', 'the file that names the servers', 'gateway.yaml')
    .option('--timeout <seconds>', 'how long the server may take in all', wholeNumber(1, 3600), 60)
}

/** `--data`, for a command that is shown to a person; empty if it is the default. */
export const dataOption = (data: string, { env }: Pick<Io, 'env'>): string =>
  data === (env.BAILIWICK_DATA || '.bailiwick') ? '' : ` --data ${data}`
