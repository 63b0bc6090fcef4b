import type { Trust } from '@bailiwick/credentials'
import { readInstallation } from '@bailiwick/installation'
import { openCheckpoint, parseVkey } from '@bailiwick/tlog'
import type { Command } from 'commander'
import { z } from 'zod'
import { expectAnswer } from '../expect-answer.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { operatorOf } from '../operator-client.ts'
import { type DataOption, type JsonOption, withData, withJson } from '../options.ts'

type Options = DataOption & JsonOption

const stepSchema = z.object({
  kind: z.string(),
  leaf_index: z.int(),
  event_id: z.string(),
  type: z.string(),
  time: z.string(),
  subject: z.string(),
  verified: z.boolean(),
  problem: z.string().optional(),
  signed_by: z.array(z.string()).optional(),
})
const traceSchema = z.looseObject({
  id: z.string(),
  verified: z.boolean(),
  truncated: z.boolean(),
  steps: z.array(stepSchema),
  checkpoint: z.string(),
})
type Step = z.output<typeof stepSchema>

export function traceCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = program
    .command('trace')
    .summary('who let this happen: from an action back to the human and the request')
    .description(
      'Shows what the evidence log says of an action, call, decision, credential, grant, request, agent, approver or ' +
        'task, newest first, each step with its signatures verified again: 0 when all of them hold, 1 when one does not.',
    )
    .argument('<id>')
  withJson(withData(command, io)).action(async (id: string, options: Options) => done(await trace(id, options, io)))
}

const singleOperator = 'SINGLE OPERATOR: one person’s passkey was enough for every approval here.'

async function trace(id: string, { data, json }: Options, io: Io): Promise<ExitCode> {
  const { trust } = readInstallation(data)
  const answer = await operatorOf(data).get(`/v1/trace/${encodeURIComponent(id)}`)
  const { steps, truncated, checkpoint, ...told } = expectAnswer(traceSchema, answer)
  const size = signedSize(checkpoint, trust)
  const outside = steps.filter(({ leaf_index }) => leaf_index >= (size ?? 0))
  const verified = told.verified && steps.every((step) => step.verified) && outside.length === 0
  const loud = trust.single_operator ? [singleOperator] : []
  if (json) {
    for (const line of loud) io.err(line)
    io.out(JSON.stringify({ ...(answer as object), verified }))
  } else {
    for (const step of steps) for (const line of linesOf(step)) io.out(line)
    for (const line of loud) io.out(line)
    if (truncated) io.out('There is more: these are the newest.')
    io.out(verified ? `All ${steps.length} steps verified` : 'NOT all steps verified')
    io.out(
      size === undefined
        ? 'its checkpoint is NOT signed by this log'
        : `in the log of ${size.toLocaleString('en-US')} entries`,
    )
  }
  return verified ? exitCodes.ok : exitCodes.fault
}

/** How long the log is by a checkpoint that it signed: what stands beyond is not committed to. */
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
}: Step): string[] {
  const by = signed_by.length > 0 ? `, signed by ${signed_by.join(', ')}` : ''
  return [
    `${time}  ${kind.padEnd(10)} ${type}  ${subject}`,
    `    entry ${leaf_index}, ${event_id}: ${verified ? `verified${by}` : `NOT VERIFIED (${problem ?? 'no reason given'})`}`,
  ]
}
