import type { Trust } from '@bailiwick/credentials'
import { readInstallation } from '@bailiwick/installation'
import { openCheckpoint, parseVkey } from '@bailiwick/tlog'
import type { Command } from 'commander'
import { z } from 'zod'
import { expectAnswer } from '../expect-answer.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { lenienceLines, lenienceSchema } from '../lenience.ts'
import { type Operator, operatorOf } from '../operator-client.ts'
import { type DataOption, type JsonOption, withData, withJson } from '../options.ts'
import { requestsSchema } from '../request-summary.ts'

type Options = DataOption & JsonOption

export function statusCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = program
    .command('status')
    .summary('whether what runs here is ready')
    .description(
      'Says whether what runs here is ready, and why not; how many requests wait; how long the evidence log is.',
    )
  withJson(withData(command, io)).action(async (options: Options) => done(await status(options, io)))
}

async function status({ data, json }: Options, io: Io): Promise<ExitCode> {
  const { trust } = readInstallation(data)
  const operator = operatorOf(data)
  const failing = await operator.failing()
  const { enrolled, recoveries = [] } = expectAnswer(registrySchema, await operator.get('/operator/registry'))
  const { requests } = expectAnswer(requestsSchema, await operator.get('/operator/requests'))
  const pending = requests.filter(({ state }) => state === 'pending').length
  const log = await logOf(operator, trust)
  const { installation, public_url, single_operator } = trust
  const ready = failing.length === 0
  if (json) {
    const log_size = log.size ?? null
    const who = { installation, public_url, single_operator, enrolled, recoveries }
    io.out(JSON.stringify({ ready, failing, ...who, pending, log_size }))
  } else {
    for (const line of [
      `${installation} at ${public_url}${single_operator ? ' (SINGLE OPERATOR)' : ''}`,
      `  ready     ${ready ? 'yes' : 'NO'}`,
      ...failing.map((reason) => `            ${reason}`),
      `  enrolled  ${enrolled ? 'yes' : 'nobody yet: open the invitation'}`,
      `  requests  ${pending} pending`,
      `  evidence  ${log.says}`,
      ...lenienceLines({ recoveries }),
    ])
      io.out(line)
  }
  return ready ? exitCodes.ok : exitCodes.fault
}

const registrySchema = lenienceSchema.extend({ enrolled: z.boolean() })

/** What the log's own checkpoint says. It says it to anybody, so what is not signed by this log is told as such. */
async function logOf(operator: Operator, trust: Trust): Promise<{ size?: number; says: string }> {
  const log = parseVkey(trust.log.vkey)
  const note = await operator.text('/log/checkpoint').catch(() => undefined)
  if (log === undefined || note === undefined) return { says: 'no checkpoint yet' }
  const opened = openCheckpoint(note, { log })
  if (!opened.ok) return { says: `its checkpoint is NOT signed by this log (${opened.reason})` }
  const { size } = opened.checkpoint
  return { size, says: `${size.toLocaleString('en-US')} entries` }
}
