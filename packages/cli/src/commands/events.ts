import { evidenceRoutes } from '@bailiwick/contracts/api'
import type { Command } from 'commander'
import { z } from 'zod'
import { expectAnswer } from '../expect-answer.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { operatorOf } from '../operator-client.ts'
import { type DataOption, type JsonOption, withData, withJson } from '../options.ts'
import { type SearchOptions, searchText, unreadOf, withSearch } from '../search-options.ts'

const { events: rows, unread, next } = evidenceRoutes.searchEvents.answer.shape
const eventsSchema = z.object({ events: z.array(rows.element.omit({ kind: true })), unread, next })
type Row = z.output<typeof eventsSchema>['events'][number]

export function eventsCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = program
    .command('events')
    .summary('search the events of the evidence log')
    .description(
      'Finds events of the evidence log by agent, approver, task, resource, reason code and time, newest first. They are ' +
        'not verified here: trace does that.',
    )
  withJson(withData(withSearch(command, 200), io)).action(async (options: DataOption & JsonOption & SearchOptions) =>
    done(await events(options, io)),
  )
}

async function events({ data, json, ...search }: DataOption & JsonOption & SearchOptions, io: Io): Promise<ExitCode> {
  const answer = await operatorOf(data).get(`/v1/events${searchText(search)}`)
  const { events, unread, next } = expectAnswer(eventsSchema, answer)
  if (json) io.out(JSON.stringify(answer))
  else {
    for (const line of [...events.map(lineOf), ...unreadOf(unread)]) io.out(line)
    if (events.length === 0) io.out(next === undefined ? 'Nothing matches.' : 'Nothing so far.')
    if (next !== undefined) io.out(`There is more. Go on with --cursor ${next}`)
  }
  return exitCodes.ok
}

function lineOf({ time, type, subject, agent, task, approvers, resource, reason, status, void: isVoid }: Row): string {
  const about = [
    isVoid && 'WITHOUT EFFECT, another was first',
    reason,
    status,
    resource,
    task,
    agent,
    approvers && `by ${approvers.join(', ')}`,
  ]
  return [time, type.padEnd(20), subject, ...about.filter((word) => word !== undefined)].join('  ')
}
