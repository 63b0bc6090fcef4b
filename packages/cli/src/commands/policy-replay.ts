import { ServiceError } from '@bailiwick/errors'
import { paths, readInstallation } from '@bailiwick/installation'
import { RecordedTrial, readPolicyDirectory } from '@bailiwick/policy'
import { countsOf, type Difference, replayDecisions, storedSets } from '@bailiwick/policy/replay'
import { logSource, RecordedLog } from '@bailiwick/verify'
import type { Command } from 'commander'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { type LogOptions, withLog } from '../log-options.ts'
import { logKeyOf } from '../log-trust.ts'
import { type JsonOption, withJson } from '../options.ts'
import { tableLines } from '../table.ts'
import { faultLines, progressOf } from './verify.ts'

interface ReplayOptions extends LogOptions, JsonOption {
  task?: string
  day?: string
  all?: true
}

const shownWithoutAll = 50
const exits = '0 when nothing would change, 1 when something would or cannot be told, 2 when it could not run'

export function policyReplayCommand(policy: Command, io: Io, done: (code: ExitCode) => void): void {
  const replay = policy
    .command('replay')
    .summary('what a candidate would have said of recorded decisions')
    .description(
      'Asks a policy directory again what the evidence log says was decided, and shows what would have been denied, what would ' +
        `have been allowed by policies, and what cannot be told since the log does not record it: ${exits}.`,
    )
    .argument('<dir>', 'the policy directory')
  withReplay(replay, io).action(async (directory: string, options: ReplayOptions) => {
    const candidate = new RecordedTrial(readPolicyDirectory(directory), 'candidate')
    done(await compare(options, io, { after: candidate }))
  })
  const diff = policy
    .command('diff')
    .summary('what two sets say of recorded decisions')
    .description(
      'Asks two policy directories what the evidence log says was decided, and shows where the second would deny what the first ' +
        `allows, or allow what it denies: ${exits}.`,
    )
    .argument('<before>', 'a policy directory')
    .argument('<after>', 'another')
  withReplay(diff, io).action(async (first: string, second: string, options: ReplayOptions) => {
    const before = new RecordedTrial(readPolicyDirectory(first), 'before')
    done(await compare(options, io, { before, after: new RecordedTrial(readPolicyDirectory(second), 'after') }))
  })
}

function withReplay(command: Command, io: Io): Command {
  return withJson(withLog(command, io))
    .option('--task <task>', 'only what was done for a task, by its name or its grant’s id')
    .option('--day <date>', 'only what was decided on a day (UTC), as 2026-07-01')
    .option('--all', `show all that differs, not only the first ${shownWithoutAll}`)
}

async function compare(
  options: ReplayOptions,
  io: Io,
  { before, after }: { before?: RecordedTrial; after: RecordedTrial },
): Promise<ExitCode> {
  const isWanted = filterOf(options)
  const { trust } = readInstallation(options.data)
  const source = logSource(options.log ?? paths(options.data).log)
  const log = await RecordedLog.open({
    source,
    vkey: await logKeyOf(options),
    trust,
    progress: (doing) => progressOf(io, doing),
  })
  const replayed = await replayDecisions({ log, setOf: storedSets(options.data), before, after, isWanted })
  const { decisions, byPolicies, differences } = replayed
  if (log.fault) {
    for (const line of faultLines(source.name, log.fault)) io.out(line)
    return exitCodes.fault
  }
  // Otherwise a misspelt name would look like a change without effect.
  if (options.task !== undefined && decisions === 0 && options.day === undefined)
    throw new ServiceError('config_invalid', `--task: no decision of ${options.task} is in the log`)
  const counts = { decisions, byPolicies, ...countsOf(replayed), refused: log.refused.length }
  if (options.json)
    io.out(JSON.stringify({ log: source.name, ...counts, differences: differences.map(machineDifference) }))
  else for (const line of linesOf(differences, counts, options.all === true)) io.out(line)
  for (const { index, code } of log.refused.slice(0, 10))
    io.err(`entry ${index} was left out: it is not signed by a service of this installation (${code})`)
  return differences.length + log.refused.length === 0 ? exitCodes.ok : exitCodes.fault
}

function filterOf({ task, day }: ReplayOptions) {
  if (day !== undefined && !isDate(day))
    throw new ServiceError('config_invalid', `--day: ${day} is no date, as 2026-07-01`)
  return (actor: { task?: string | undefined; grant_id?: string | undefined } | undefined, time: string) =>
    (task === undefined || actor?.task === task || actor?.grant_id === task) &&
    (day === undefined || time.startsWith(day))
}

function isDate(text: string): boolean {
  const at = new Date(`${text}T00:00:00Z`)
  return /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text)
}

type Counts = ReturnType<typeof countsOf> & { decisions: number; byPolicies: number; refused: number }
function linesOf(differences: readonly Difference[], counts: Counts, all: boolean): string[] {
  const shown = all ? differences : differences.slice(0, shownWithoutAll)
  const rows = shown.map(({ kind, why, decision: { at, id, agent, action, resource } }) => [
    kind,
    new Date(at).toISOString(),
    id,
    agent,
    `${action} ${resource}`,
    why,
  ])
  const { decisions, byPolicies, same, denied, allowed, untold } = counts
  const rest = differences.length - shown.length
  return [
    ...tableLines(rows),
    ...(rest > 0 ? [`… and ${rest} more: --all shows them`] : []),
    `${byPolicies} of ${decisions} decisions were up to policies: ${same} same, ${denied} would be denied, ${allowed} would be allowed, ${untold} cannot be told`,
  ]
}

const machineDifference = ({ kind, policies, why, decision }: Difference) => ({
  kind: kind.replaceAll(' ', '_'),
  decision_id: decision.id,
  time: new Date(decision.at).toISOString(),
  agent: decision.agent,
  action: decision.action,
  resource: decision.resource,
  policies,
  why,
})
