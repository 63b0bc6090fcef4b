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
      'Says whether what runs here is ready, and why not; how many requests wait; how long the evidence log is; which enforcement points ' +
        'state no instance.',
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
  const single = await pointsWithoutInstance(operator)
  const { installation, public_url, single_operator } = trust
  const ready = failing.length === 0
  if (json) {
    const log_size = log.size ?? null
    const who = { installation, public_url, single_operator, enrolled, recoveries }
    io.out(JSON.stringify({ ready, failing, ...who, pending, log_size, points_without_instance: single }))
  } else {
    for (const line of [
      `${installation} at ${public_url}${single_operator ? ' (SINGLE OPERATOR)' : ''}`,
      `  ready     ${ready ? 'yes' : 'NO'}`,
      ...failing.map((reason) => `            ${reason}`),
      `  enrolled  ${enrolled ? 'yes' : 'nobody yet: open the invitation'}`,
      `  requests  ${pending} pending`,
      `  evidence  ${log.says}`,
      ...single.map((point) => `  point     ${point} states no instance: run it as ONE process, or update it`),
      ...lenienceLines({ recoveries }),
    ])
      io.out(line)
  }
  return ready ? exitCodes.ok : exitCodes.fault
}

const registrySchema = lenienceSchema.extend({ enrolled: z.boolean() })

const pointsSchema = z.object({ without_instance: z.array(z.string()) })

/** None where no decision point answers, which `ready` says, and where one is of a version that does not know. */
async function pointsWithoutInstance(operator: Operator): Promise<string[]> {
  const answer = pointsSchema.safeParse(await operator.get('/operator/points').catch(() => undefined))
  return answer.data?.without_instance ?? []
}

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
