import { evidenceRoutes, type StoryStep as Step, shownValueSchema } from '@bailiwick/contracts/api'
import type { Trust } from '@bailiwick/credentials'
import { readInstallation } from '@bailiwick/installation'
import { openCheckpoint, parseVkey } from '@bailiwick/tlog'
import type { Command } from 'commander'
import { z } from 'zod'
import { expectAnswer } from '../expect-answer.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { softwareApproverLine } from '../lenience.ts'
import { operatorOf } from '../operator-client.ts'
import { type DataOption, type JsonOption, withData, withJson } from '../options.ts'
import { type SearchOptions, searchText, unreadOf, withSearch } from '../search-options.ts'

type Options = DataOption & JsonOption & SearchOptions

const traceSchema = evidenceRoutes.trace.answer.omit({ steps: true, size: true })
const valueSchema = shownValueSchema.omit({
  leaf_index: true,
  type: true,
  time: true,
  subject: true,
  salted_sha256: true,
})
type Value = z.output<typeof valueSchema>
const valuesSchema = z.object({ values: z.array(valueSchema) })

export function traceCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = program
    .command('trace')
    .summary('who let this happen: from an action back to the human and the request')
    .description(
      'Shows what the evidence log says of an action, call, decision, credential, grant, request, agent, approver or ' +
        'task, as a tree in time: from the request and its signers down to what was done, each step with its ' +
        'signatures verified again: 0 when all of them hold, 1 when one does not, or nothing matches the filters; 2 for an id that the log does not have.',
    )
    .argument('<id>')
  withJson(withData(withSearch(command, 500), io)).action(async (id: string, options: Options) =>
    done(await trace(id, options, io)),
  )
}

const longestWords = 500
const singleOperator = 'SINGLE OPERATOR: one person’s passkey was enough for every approval here.'

async function trace(id: string, { data, json, ...search }: Options, io: Io): Promise<ExitCode> {
  const { trust } = readInstallation(data)
  const operator = operatorOf(data)
  const answer = await operator.get(`/v1/trace/${encodeURIComponent(id)}${searchText(search)}`)
  const { trees, truncated, next, checkpoint, ...told } = expectAnswer(traceSchema, answer)
  const steps = [...inOrder(trees)]
  const size = signedSize(checkpoint, trust)
  const outside = steps.filter(({ step }) => step.leaf_index >= (size ?? 0))
  // Every statement holds for an empty set: a filter that hides everything, or an unknown id, must not look like a proof.
  const verified = steps.length > 0 && told.verified && steps.every(({ step }) => step.verified) && outside.length === 0
  const loud = [
    ...(trust.software_approver ? [softwareApproverLine] : []),
    ...(trust.single_operator ? [singleOperator] : []),
  ]
  if (json) {
    for (const line of loud) io.err(line)
    io.out(JSON.stringify({ ...(answer as object), verified }))
  } else {
    const asked = searchText({ ...search, causes: 'true' })
    const kept = expectAnswer(valuesSchema, await operator.get(`/v1/values/${encodeURIComponent(id)}${asked}`)).values
    const words = Map.groupBy(kept, ({ event_id }) => event_id)
    for (const { step, depth } of steps)
      for (const line of [...linesOf(step), ...(words.get(step.event_id) ?? []).map(wordsOf)])
        io.out('  '.repeat(depth) + line)
    for (const line of [...loud, ...unreadOf(told.unread)]) io.out(line)
    if (truncated)
      io.out(`There is more: these are the newest.${next === undefined ? '' : ` Go on with --cursor ${next}`}`)
    if (steps.length === 0) io.out(next === undefined ? 'Nothing matches.' : 'Nothing so far.')
    else io.out(verified ? `All ${steps.length} steps verified` : 'NOT all steps verified')
    io.out(
      size === undefined
        ? 'its checkpoint is NOT signed by this log'
        : `in the log of ${size.toLocaleString('en-US')} entries`,
    )
  }
  return verified ? exitCodes.ok : exitCodes.fault
}

/** Earlier events first, and what followed from an event below it. */
function* inOrder(steps: readonly Step[], depth = 0): Generator<{ step: Step; depth: number }> {
  for (const step of steps) {
    yield { step, depth }
    yield* inOrder(step.steps, depth + 1)
  }
}

/** The log's length according to a checkpoint that it signed: entries beyond it are not committed to. */
function signedSize(checkpoint: string, trust: Trust): number | undefined {
  const log = parseVkey(trust.log.vkey)
  const opened = log === undefined ? undefined : openCheckpoint(checkpoint, { log })
  return opened?.ok ? opened.checkpoint.size : undefined
}

function linesOf({
  kind,
  leaf_index,
  event_id,
  type,
  time,
  subject,
  verified,
  problem,
  signed_by = [],
  void: isVoid,
  data,
}: Step): string[] {
  const by = signed_by.length > 0 ? `, signed by ${signed_by.join(', ')}` : ''
  return [
    ...(isVoid ? ['WITHOUT EFFECT, another was first:'] : []),
    [`${time}  ${kind.padEnd(10)} ${type}`, subject, ...gistOf(data)].join('  '),
    `    entry ${leaf_index}, ${event_id}: ${verified ? `verified${by}` : `NOT VERIFIED (${problem ?? 'no reason given'})`}`,
  ]
}

/** A person's or agent's own text, quoted and shortened; or why it is missing. */
function wordsOf({ at, ...value }: Value): string {
  return `    ${at.slice(1)}: ${said(value)}`
}

function said({ state, text, erased_at, by, reason }: Omit<Value, 'at'>): string {
  if (state === 'erased') return `erased ${erased_at} by ${by} (${reason})`
  if (state === 'unkept') return 'not kept here: only the enforcement point got its salt'
  if (state === 'altered') return 'NOT SHOWN: what is kept is not what was committed to'
  if (state === 'contradicted') return 'NOT SHOWN: it is another call than the event says'
  if (text === undefined) return 'not kept here'
  const characters = [...text]
  const shown = JSON.stringify(characters.slice(0, longestWords).join(''))
  return characters.length > longestWords ? `${shown} … (cut)` : shown
}

/** The facts of a decision, an outcome or a revocation that people look for first. */
function gistOf(data: unknown): string[] {
  const { action, reason, status } = Object(data)
  return [Object(Object(action).resource).id, reason, status].filter((word) => typeof word === 'string')
}
