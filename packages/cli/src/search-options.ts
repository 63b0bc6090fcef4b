import type { Command } from 'commander'
import { wholeNumber } from './options.ts'

/** The search criteria for the log's events, as in `GET /v1/events` and `/v1/trace/{id}`. */
export interface SearchOptions {
  agent?: string
  approver?: string
  task?: string
  resource?: string
  reason?: string
  type?: string
  from?: string
  to?: string
  limit?: number
  cursor?: string
}

/** `most`: the most events in one answer. */
export function withSearch(command: Command, most: number): Command {
  return command
    .option('--agent <id>', 'only what this agent, or this instance of it, asked for or did')
    .option('--approver <id>', 'only what this person approved, and what followed from that')
    .option('--task <name>', 'only what belongs to this task')
    .option('--resource <id>', 'only what is about this resource')
    .option('--reason <code>', 'only what was denied, or refused, for this reason')
    .option('--type <type>', 'only events of this type, or of these: decision, outcome, decision.denied …')
    .option('--from <time>', 'no earlier (RFC 3339)')
    .option('--to <time>', 'no later (RFC 3339)')
    .option('--limit <n>', `so many at once, at most ${most}`, wholeNumber(1, most))
    .option('--cursor <cursor>', 'go on where an answer before ended')
}

/** The notice about leaves that a newer version wrote: they exist, but this version cannot read them. */
export const unreadOf = (unread: readonly number[] = []): string[] =>
  unread.length === 0 ? [] : [`NOT READ: a newer version wrote entries ${unread.join(', ')}`]

/** The criteria as the query part of an address. */
export function searchText(options: SearchOptions & { id?: string; causes?: 'true' }): string {
  const given = Object.entries(options).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]))
  const text = new URLSearchParams(given).toString()
  return text === '' ? '' : `?${text}`
}
