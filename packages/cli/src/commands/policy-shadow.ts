import { renameSync, rmSync } from 'node:fs'
import type { EventData } from '@bailiwick/contracts'
import { paths, policySetOf, readInstallation, readPolicyFiles, storePolicyFiles } from '@bailiwick/installation'
import { decisionSet } from '@bailiwick/policy'
import { logSource, RecordedLog } from '@bailiwick/verify'
import type { Command } from 'commander'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { type LogOptions, withLog } from '../log-options.ts'
import { logKeyOf } from '../log-trust.ts'
import { type JsonOption, withJson } from '../options.ts'
import { tableLines } from '../table.ts'
import { faultLines, progressOf } from './verify.ts'

interface ShadowOptions extends LogOptions, JsonOption {
  stop?: true
}

const shown = 50

export function policyShadowCommand(policy: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = policy
    .command('shadow')
    .summary('ask a candidate beside the active set, and see what it says')
    .description(
      'With a policy directory: puts it where the decision points of this data directory ask it everything that they ask the active set, ' +
        'behind each answer; it decides nothing. Without: what candidates said so far, by the evidence log: 0 when nothing ' +
        'would change, 1 when something would, 2 when it could not run.',
    )
    .argument('[dir]', 'the candidate')
    .option('--stop', 'ask no candidate any more')
  withJson(withLog(command, io)).action(async (directory: string | undefined, options: ShadowOptions) => {
    if (options.stop) done(stop(options, io))
    else done(directory === undefined ? await summarise(options, io) : put(directory, options, io))
  })
}

function put(directory: string, { data, json }: ShadowOptions, io: Io): ExitCode {
  readInstallation(data) // otherwise it would be stored where no service reads it
  const files = readPolicyFiles(directory)
  const { hash } = decisionSet(files, { permitsNothing: true })
  const { candidate } = paths(data)
  // Written next to it first: a concurrent reader finds a whole set, or none.
  rmSync(`${candidate}-next`, { recursive: true, force: true })
  storePolicyFiles(`${candidate}-next`, files)
  rmSync(candidate, { recursive: true, force: true })
  renameSync(`${candidate}-next`, candidate)
  io.out(
    json
      ? JSON.stringify({ candidate: hash })
      : `${hash} is asked beside the active set from now on; it decides nothing`,
  )
  return exitCodes.ok
}

function stop({ data, json }: ShadowOptions, io: Io): ExitCode {
  const { candidate } = paths(data)
  const hash = hashOf(candidate)
  rmSync(candidate, { recursive: true, force: true })
  io.out(
    json
      ? JSON.stringify({ stopped: hash ?? null })
      : hash === undefined
        ? 'there was none'
        : `${hash} is not asked any more`,
  )
  return exitCodes.ok
}

function hashOf(folder: string): string | undefined {
  try {
    return policySetOf(readPolicyFiles(folder)).hash
  } catch {
    return undefined
  }
}

type Answer = EventData<'decisions.v1', 'candidate.answered'>['answers'][number]
type Difference = Answer & { kind: 'would be denied' | 'would be allowed'; what: string; time: string }
interface Tally {
  answers: number
  unanswered: number
  differences: Difference[]
}

async function summarise(options: ShadowOptions, io: Io): Promise<ExitCode> {
  const source = logSource(options.log ?? paths(options.data).log)
  const { trust } = readInstallation(options.data)
  const log = await RecordedLog.open({
    source,
    vkey: await logKeyOf(options),
    trust,
    progress: (doing) => progressOf(io, doing),
  })
  const tallies = new Map<string, Tally>()
  const decided = new Map<string, { what: string; time: string }>()
  await log.decisions(async ({ type, data, time }) => {
    if (type === 'decision.allowed' || type === 'decision.denied') {
      const { action } = data
      decided.set(data.decision_id, {
        time,
        what: action ? `${action.name} ${action.resource.type} ${action.resource.id}` : '',
      })
    } else if (type === 'candidate.answered') for (const answer of data.answers) count(tallies, data.candidate, answer)
  })
  if (log.fault) {
    for (const line of faultLines(source.name, log.fault)) io.out(line)
    return exitCodes.fault
  }
  for (const { differences } of tallies.values())
    for (const difference of differences) Object.assign(difference, decided.get(difference.decision_id))
  if (options.json) io.out(JSON.stringify([...tallies].map(([candidate, tally]) => ({ candidate, ...tally }))))
  else for (const line of tallies.size === 0 ? ['no candidate was asked'] : [...tallies].flatMap(linesOf)) io.out(line)
  for (const { index, code } of log.refused.slice(0, 10))
    io.err(`entry ${index} was left out: it is not signed by a service of this installation (${code})`)
  const isSame = [...tallies.values()].every(({ differences }) => differences.length === 0)
  return isSame && log.refused.length === 0 ? exitCodes.ok : exitCodes.fault
}

function count(tallies: Map<string, Tally>, candidate: string, answer: Answer): void {
  const tally = tallies.get(candidate) ?? { answers: 0, unanswered: 0, differences: [] }
  tallies.set(candidate, tally)
  tally.answers++
  if (answer.candidate === 'unanswered') {
    tally.unanswered++
    return
  }
  const change = lets[answer.candidate] - lets[answer.active]
  if (change === 0) return
  tally.differences.push({ ...answer, kind: change < 0 ? 'would be denied' : 'would be allowed', what: '', time: '' })
}

/** How permissive each answer is. */
const lets = { allow: 2, step_up: 1, deny: 0, error: 0, invalid: 0 } as const

function linesOf([candidate, { answers, unanswered, differences }]: [string, Tally]): string[] {
  const of = (kind: Difference['kind']) => differences.filter((difference) => difference.kind === kind).length
  const rows = differences
    .slice(-shown)
    .map(({ kind, time, decision_id, what, active, candidate: said, policies = [] }) => [
      `  ${kind}`,
      time,
      decision_id,
      what,
      `${active} → ${said}${policies.length > 0 ? ` by ${policies.join(', ')}` : ''}`,
    ])
  return [
    `candidate ${candidate}: ${answers} decisions: ${answers - unanswered - differences.length} same, ` +
      `${of('would be denied')} would be denied, ${of('would be allowed')} would be allowed, ${unanswered} unanswered`,
    ...tableLines(rows),
    ...(differences.length > shown ? [`  … the newest ${shown} of ${differences.length}`] : []),
  ]
}
