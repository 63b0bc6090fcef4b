import { ServiceError } from '@bailiwick/errors'
import { paths, policySetOf, readInstallation, readPolicyFiles } from '@bailiwick/installation'
import {
  loadPolicySet,
  type PolicySet,
  type RecordedAnswer,
  RecordedTrial,
  readPolicyDirectory,
} from '@bailiwick/policy'
import { logSource, RecordedLog } from '@bailiwick/verify'
import type { Command } from 'commander'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { type LogOptions, withLog } from '../log-options.ts'
import { logKeyOf } from '../log-trust.ts'
import { type JsonOption, withJson } from '../options.ts'
import { didOf, type RecordedDecision, recordedDecision } from '../recorded-decisions.ts'
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

type Kind = 'would be denied' | 'would be allowed' | 'cannot be told'
interface Difference {
  kind: Kind
  decision: RecordedDecision
  /** The policies that decide in the set with the other answer; if the answer is uncertain, those on which it depends. */
  policies: readonly string[]
  why: string
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
  const setOf = setsIn(options.data)
  const differences: Difference[] = []
  let decisions = 0
  let byPolicies = 0
  await log.decisions(async (event, tree) => {
    if (event.type !== 'decision.allowed' && event.type !== 'decision.denied') return
    if (!isWanted(event.data.actor, event.time)) return
    decisions++
    const decision = await recordedDecision(event, log, setOf, tree)
    if (decision === undefined) return
    byPolicies++
    const difference = differenceIn(decision, { before, after, setOf })
    if (difference) differences.push(difference)
  })
  if (log.fault) {
    for (const line of faultLines(source.name, log.fault)) io.out(line)
    return exitCodes.fault
  }
  // Otherwise a misspelt name would look like a change without effect.
  if (options.task !== undefined && decisions === 0 && options.day === undefined)
    throw new ServiceError('config_invalid', `--task: no decision of ${options.task} is in the log`)
  const counts = { decisions, byPolicies, ...countsOf(differences, byPolicies), refused: log.refused.length }
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

/** The sets that decided, if their files are in the data directory and match their hash. */
function setsIn(data: string): (hash: string) => PolicySet | undefined {
  const sets = new Map<string, PolicySet | undefined>()
  const read = (hash: string) => {
    try {
      const files = readPolicyFiles(paths(data).policies(hash))
      return policySetOf(files).hash === hash ? loadPolicySet(files) : undefined
    } catch {
      return undefined
    }
  }
  return (hash) => {
    if (!sets.has(hash)) sets.set(hash, read(hash))
    return sets.get(hash)
  }
}

function differenceIn(
  decision: RecordedDecision,
  sets: { before: RecordedTrial | undefined; after: RecordedTrial; setOf: (hash: string) => PolicySet | undefined },
): Difference | undefined {
  const { lacks, policySet, passed, policies } = decision
  const decidedBy = policySet === undefined ? undefined : sets.setOf(policySet)
  const question = { ...decision.question, decidedBy, did: didOf(decision, decidedBy) }
  const ask = (trial: RecordedTrial): RecordedAnswer =>
    lacks.length > 0 ? { needs: [...lacks], policies: [] } : trial.ask(question)
  const recorded: RecordedAnswer =
    passed === undefined ? { needs: [...lacks], policies: [] } : { passes: passed, policies: [...policies] }
  const before = sets.before ? ask(sets.before) : recorded
  const after = ask(sets.after)
  if ('needs' in before || 'needs' in after) {
    const open = [before, after].filter((answer) => 'needs' in answer)
    const needs = [...new Set(open.flatMap((answer) => answer.needs))]
    const depending = [...new Set(open.flatMap((answer) => answer.policies))]
    return { kind: 'cannot be told', decision, policies: depending, why: `needs ${needs.join(', ')}` }
  }
  if (before.passes === after.passes) return undefined
  if (!after.passes) return { kind: 'would be denied', decision, policies: after.policies, why: whyDenied(after) }
  return { kind: 'would be allowed', decision, policies: before.policies, why: `was denied: ${whyDenied(before)}` }
}

function whyDenied(answer: RecordedAnswer): string {
  if ('needs' in answer) return ''
  if (answer.why === 'invalid') return 'the request does not fit the schema'
  if (answer.policies.length === 0) return 'no policy permits it'
  return `${answer.why === 'error' ? 'error in ' : 'by '}${answer.policies.join(', ')}`
}

type Counts = ReturnType<typeof countsOf> & { decisions: number; byPolicies: number; refused: number }
function countsOf(differences: readonly Difference[], of: number) {
  const count = (kind: Kind) => differences.filter((difference) => difference.kind === kind).length
  const would = {
    denied: count('would be denied'),
    allowed: count('would be allowed'),
    untold: count('cannot be told'),
  }
  return { same: of - differences.length, ...would }
}

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
