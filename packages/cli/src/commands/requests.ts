import type { Command } from 'commander'
import { expectAnswer } from '../expect-answer.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { lenienceLines } from '../lenience.ts'
import { operatorOf } from '../operator-client.ts'
import { type DataOption, type JsonOption, withData, withJson } from '../options.ts'
import { type RequestSummary, requestsSchema } from '../request-summary.ts'

interface RequestsCommand extends DataOption, JsonOption {
  all?: true
}

export function requestsCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = program
    .command('requests')
    .summary('what waits for an approver')
    .description(
      'Lists the requests that wait for an approver. It can answer none: that takes a passkey, on the console.',
    )
    .option('--all', 'also those that were answered, cancelled or expired')
  withJson(withData(command, io)).action(async (options: RequestsCommand) => done(await list(options, io)))
}

async function list({ data, json, all }: RequestsCommand, io: Io): Promise<ExitCode> {
  const { requests, ...lenience } = expectAnswer(requestsSchema, await operatorOf(data).get('/operator/requests'))
  for (const line of lenienceLines(lenience)) io.err(line)
  const now = io.clock.now()
  const shown = requests
    .filter((request) => all || isOpen(request, now))
    .sort((a, b) => (a.received_at ?? '').localeCompare(b.received_at ?? ''))
  if (json) io.out(JSON.stringify(shown))
  else if (shown.length === 0) io.out(all ? 'There are no requests.' : 'Nothing waits for an approver.')
  else for (const request of shown) for (const line of linesOf(request)) io.out(line)
  return exitCodes.ok
}

function isOpen({ state, expires_at }: RequestSummary, now: number): boolean {
  return state === 'pending' && (expires_at === null || now < Date.parse(expires_at))
}

function linesOf({
  id,
  state,
  kind,
  from,
  about,
  mode,
  received_at,
  expires_at,
  endorsements,
}: RequestSummary): string[] {
  const signed = endorsements > 0 ? `, ${endorsements} signed` : ''
  // Quoted, because the agent chose the text.
  const what = about ? `: ${JSON.stringify(about)}${mode ? ` (${mode})` : ''}` : ''
  return [
    `${id}  ${state}${signed}`,
    `  ${kind === 'registry' ? 'registry change by' : 'access for'} ${from}${what}`,
    `  received ${received_at}, to be answered by ${expires_at}`,
  ]
}
