import { approvalOperatorRoutes, policyDecisionRoutes } from '@bailiwick/contracts/api'
import type { Trust } from '@bailiwick/credentials'
import { errorCode } from '@bailiwick/errors'
import { commonSettings, readConfig, type ServiceAddress } from '@bailiwick/host'
import { readInstallation } from '@bailiwick/installation'
import { openCheckpoint, parseVkey } from '@bailiwick/tlog'
import type { Command } from 'commander'
import { z } from 'zod'
import { expectAnswer } from '../expect-answer.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { lenienceLines, lenienceSchema } from '../lenience.ts'
import { type Operator, operatorOf, type PartService } from '../operator-client.ts'
import { exchange } from '../operator-exchange.ts'
import { type DataOption, type JsonOption, withData, withJson } from '../options.ts'
import { partsAmong, type Readiness, readiness } from '../readiness.ts'
import { requestsSchema } from '../request-summary.ts'

type Options = DataOption & JsonOption

const configSchema = z.object({ BAILIWICK_SERVICES: commonSettings(0).BAILIWICK_SERVICES })

export function statusCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = program
    .command('status')
    .summary('whether the system is ready')
    .description(
      'Says whether all services are ready, and why not; how many requests wait; how long the evidence log is; which enforcement points ' +
        'state no instance. Services that do not run here are asked at the addresses in BAILIWICK_SERVICES; what was not asked is said.',
    )
  withJson(withData(command, io)).action(async (options: Options) => done(await status(options, io)))
}

async function status({ data, json }: Options, io: Io): Promise<ExitCode> {
  const { trust } = readInstallation(data)
  const { BAILIWICK_SERVICES } = io.env
  const { BAILIWICK_SERVICES: addresses } = readConfig(configSchema, { BAILIWICK_SERVICES })
  const found = await readiness(data, addresses)
  const operator = operatorOf(data)
  const parts = partsAmong(data, addresses)
  const people = await peopleOf(parts, operator)
  const log = await logOf(parts, operator, { trust, addresses })
  const single = await pointsWithoutInstance(operator)
  const { installation, public_url, single_operator, software_approver = false } = trust
  const { failing, besides, unasked } = found
  const ready = failing.length === 0
  if (json) {
    const log_size = log.size ?? null
    const { enrolled = null, pending = null, recoveries = [] } = people ?? {}
    const who = { installation, public_url, single_operator, software_approver, enrolled, recoveries }
    const points_without_instance = single
    io.out(JSON.stringify({ ready, failing, besides, unasked, ...who, pending, log_size, points_without_instance }))
  } else {
    const { enrolled, pending, recoveries = [] } = people ?? {}
    for (const line of [
      `${installation} at ${public_url}${single_operator ? ' (SINGLE OPERATOR)' : ''}`,
      ...readyLines(found),
      `  enrolled  ${people === undefined ? notHere('approval') : enrolled ? 'yes' : 'no one yet: open the invitation'}`,
      `  requests  ${people === undefined ? notHere('approval') : `${pending} pending`}`,
      `  evidence  ${log.says}`,
      ...single.map((point) => `  point     ${point} states no instance: run it as ONE process, or update it`),
      ...lenienceLines({ software_approver, recoveries }),
    ])
      io.out(line)
  }
  return ready ? exitCodes.ok : exitCodes.fault
}

function readyLines({ failing, besides, unasked }: Readiness): string[] {
  const known = unasked.length === 0 ? 'yes' : 'yes, as far as it was asked'
  return [
    `  ready     ${failing.length === 0 ? known : 'NO'}`,
    ...failing.map((reason) => `            ${reason}`),
    ...besides.map((reason) => `  besides   ${reason}; another instance is ready`),
    ...(unasked.length === 0 ? [] : [`  not asked ${unasked.join(', ')}: not here; name them in BAILIWICK_SERVICES`]),
  ]
}

const notHere = (service: string) => `not known here: ask where ${service} runs, once it is ready`

const registrySchema = lenienceSchema.extend(approvalOperatorRoutes.readRegistry.answer.pick({ enrolled: true }).shape)

/**
 * Facts that only approval knows; undefined if approval runs elsewhere, or is a separate service that does not answer, which `ready`
 * reports.
 */
async function peopleOf(parts: readonly PartService[] | undefined, operator: Operator) {
  try {
    const { enrolled, recoveries } = expectAnswer(registrySchema, await operator.get('/operator/registry'))
    const { requests } = expectAnswer(requestsSchema, await operator.get('/operator/requests'))
    return { enrolled, recoveries, pending: requests.filter(({ state }) => state === 'pending').length }
  } catch (error) {
    if (parts === undefined || errorCode(error) !== 'service_unready') throw error
    return undefined
  }
}

const pointsSchema = policyDecisionRoutes.listPointsWithoutInstance.answer

/** Empty if no decision point answers, which `ready` reports, or if the version that answers does not have this list. */
async function pointsWithoutInstance(operator: Operator): Promise<string[]> {
  const answer = pointsSchema.safeParse(await operator.get('/operator/points').catch(() => undefined))
  return answer.data?.without_instance ?? []
}

interface Log {
  size?: number
  says: string
}

/** The log's own checkpoint. Any caller may ask evidence for it, so one that this log did not sign is reported as such. */
async function logOf(
  parts: readonly PartService[] | undefined,
  operator: Operator,
  { trust, addresses }: { trust: Trust; addresses: readonly ServiceAddress[] },
): Promise<Log> {
  const log = parseVkey(trust.log.vkey)
  const at = addresses.filter(({ service }) => service === 'evidence').map(({ url }) => url)
  const here = parts === undefined || parts.includes('evidence')
  if (!here && at.length === 0) return { says: notHere('evidence') }
  const note = here ? await operator.text('/log/checkpoint').catch(() => undefined) : await checkpointAt(at)
  if (log === undefined || note === undefined) return { says: 'no checkpoint yet' }
  const opened = openCheckpoint(note, { log })
  if (!opened.ok) return { says: `its checkpoint is NOT signed by this log (${opened.reason})` }
  const { size } = opened.checkpoint
  return { size, says: `${size.toLocaleString('en-US')} entries` }
}

/** The checkpoint of the first instance that returns one: a standby does not. */
async function checkpointAt(addresses: readonly string[]): Promise<string | undefined> {
  for (const url of addresses) {
    const answer = await exchange({ url }, 'GET', '/log/checkpoint').catch(() => undefined)
    if (answer?.status === 200) return answer.body.toString('utf8')
  }
  return undefined
}
