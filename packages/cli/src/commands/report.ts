import { ServiceError } from '@bailiwick/errors'
import { paths, readInstallation } from '@bailiwick/installation'
import { printable } from '@bailiwick/kit'
import { htmlReport, logSource, type Measure, type ReportHead, reportOf, type Spent } from '@bailiwick/verify'
import { Argument, type Command } from 'commander'
import { z } from 'zod'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { lenienceLines } from '../lenience.ts'
import { type DataOption, type JsonOption, withData, withJson } from '../options.ts'
import { reportEmergency } from './report-emergency.ts'

interface ReportCommand extends DataOption, JsonOption {
  from?: string
  to?: string
  log?: string
  html?: true
}

const usualDays = 30
const dayMs = 24 * 3_600_000

export function reportCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = program
    .command('report')
    .summary('how agents were governed, in numbers from the log, for auditors')
    .description(
      'Counts, from the entries of the evidence log, what auditors ask for: approvals and how long they took, denials, ' +
        'standing access, lives of credentials, revocations, outcomes that are missing, gaps; each beside the items of ' +
        'docs/audit/controls.md that it serves. The log is verified first. 1 when a number is not as it should be.',
    )
    .addArgument(
      new Argument(
        '[what]',
        '`emergency`: instead, who signed an emergency, what was done, and how it ended; 1 until it is reviewed',
      ).choices(['emergency']),
    )
    .argument('[id]', 'the request or grant of one emergency (default: all of them)')
    .option('--from <time>', 'begin of the period: RFC 3339, or a date in UTC (default: 30 days before its end)')
    .option('--to <time>', 'end of the period, or its last day (default: now)')
    .option('--log <dir or url>', "the log's folder or address (default: the data directory's)")
    .option('--html', 'one self-contained page on standard output')
  withJson(withData(command, io)).action(
    async (what: string | undefined, id: string | undefined, options: ReportCommand) =>
      done(await (what === undefined ? report(options, io) : reportEmergency(id, options, io))),
  )
}

async function report(options: ReportCommand, io: Io): Promise<ExitCode> {
  const { trust } = readInstallation(options.data)
  const to = moment('--to', options.to, dayMs - 1) ?? io.clock.now()
  const from = moment('--from', options.from, 0) ?? to - usualDays * dayMs
  if (from > to) throw new ServiceError('config_invalid', '--from is later than --to')
  const source = logSource(options.log ?? paths(options.data).log)
  const told = await reportOf({ source, trust, from, to })
  if (!told.ok) {
    io.err(`${source.name}: NOT what its key commits to (${told.path}: ${told.reason}): bailiwick verify tells more`)
    return exitCodes.fault
  }
  const { head, measures, denials, spent, events } = told
  if (options.html) for (const line of htmlReport(head, measures, events).split('\n')) io.out(line)
  else if (options.json) io.out(JSON.stringify({ ...head, measures, denials, spent }))
  else for (const line of linesOf(head, measures, denials, spent)) io.out(line)
  for (const line of lenienceLines(trust)) io.err(line)
  return measures.every(({ ok = true }) => ok) ? exitCodes.ok : exitCodes.fault
}

const timeSchema = z.iso.datetime({ offset: true })
const dateSchema = z.iso.date()

/**
 * `ofDay`: the time of day that a date alone means, in ms. A time without a zone is refused, because it would be another period on each
 * machine.
 */
function moment(option: string, value: string | undefined, ofDay: number): number | undefined {
  if (value === undefined) return undefined
  if (dateSchema.safeParse(value).success) return Date.parse(value) + ofDay
  if (timeSchema.safeParse(value).success) return Date.parse(value)
  throw new ServiceError(
    'config_invalid',
    `${option}: ${value} is no time with its zone, such as 2026-11-24T18:00:00Z, and no date`,
  )
}

const mostSpent = 50

function* linesOf(
  head: ReportHead,
  measures: readonly Measure[],
  denials: Record<string, number>,
  spent: readonly Spent[],
): Generator<string> {
  yield `${head.installation}, ${head.from} to ${head.to}`
  yield `from the log of ${head.size.toLocaleString('en-US')} entries, all verified`
  for (const { name, value, note, ok, serves } of measures) {
    const verdict = ok === false ? '  NOT AS IT SHOULD BE' : ''
    yield `  ${name.padEnd(36)} ${value.padStart(12)}${verdict}`
    if (note !== undefined) yield `      ${note}`
    if (name === 'Denials by reason')
      for (const [reason, count] of Object.entries(denials)) yield `      ${String(count).padStart(8)}  ${reason}`
    yield `      serves ${serves.join(', ')}`
  }
  if (spent.length > 0) yield '  Money spent, the largest amounts first'
  for (const { agent, task, approvers, resource, calls, cost } of spent.slice(0, mostSpent)) {
    const amounts = Object.entries(cost).map(([currency, amount]) => `${amount} ${currency}`)
    yield `      ${amounts.join(', ').padStart(16)}  ${count(calls)} on ${printable(resource)}`
    yield `      ${' '.repeat(16)}  by ${printable(agent)}, for ${printable(task)}, approved by ${approvers.join(', ') || 'no person'}`
  }
  if (spent.length > mostSpent) yield `      and ${spent.length - mostSpent} smaller amounts: --json has them`
}

const count = (calls: number): string => `${calls.toLocaleString('en-US')} ${calls === 1 ? 'call' : 'calls'}`
