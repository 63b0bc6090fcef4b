import { type Command, InvalidArgumentError } from 'commander'
import type { Io } from './io.ts'

export interface DataOption {
  data: string
}

export interface JsonOption {
  json?: true
}

export interface PermitsNothingOption {
  permitsNothing?: true
}

/** `--data`: default `BAILIWICK_DATA`, then `.bailiwick`; read like this by every service. */
export function withData(command: Command, io: Io): Command {
  return command.option('--data <dir>', 'the data directory', io.env.BAILIWICK_DATA || '.bailiwick')
}

export function withJson(command: Command): Command {
  return command.option('--json', 'answer in JSON, for a machine')
}

/** For commands that take a policy set: without this option, a set that has no `permit` is refused. */
export function withPermitsNothing(command: Command): Command {
  return command.option('--permits-nothing', 'the policies are meant to deny every request')
}

/** Parses an option that is a whole number within these bounds; any other value is refused with a message that gives them. */
export const wholeNumber =
  (least: number, most: number) =>
  (text: string): number => {
    const value = Number(text)
    if (/^\d{1,9}$/.test(text) && value >= least && value <= most) return value
    throw new InvalidArgumentError(`A whole number from ${least} to ${most}.`)
  }

export const port = wholeNumber(0, 65_535)

/** For an option that may be given more than once. */
export const collect = (value: string, before: readonly string[] = []): string[] => [...before, value]
