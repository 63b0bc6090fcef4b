import { setTimeout as wait } from 'node:timers/promises'
import { type EntityType, entitySchemas } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { readInstallation } from '@bailiwick/installation'
import { Argument, type Command } from 'commander'
import { z } from 'zod'
import { expectAnswer } from '../expect-answer.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { type Operator, operatorOf } from '../operator-client.ts'
import { type DataOption, type JsonOption, withData, withJson } from '../options.ts'
import { type PresentEntity, presentEntities } from '../present-entities.ts'
import { diffLines, diffOf, type EntityDiff } from '../registry-diff.ts'
import { readRegistryFile, type WantedEntity } from '../registry-file.ts'

type Options = DataOption & JsonOption

interface ApplyCommand extends Options {
  dryRun?: true
  wait?: true
  proposer: string
}

const types = Object.keys(entitySchemas) as EntityType[]

export function registryCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const registry = program.command('registry').summary('see and change who and what exists')
  withJson(withData(registry.command('list').summary('what is registered'), io))
    .addArgument(new Argument('[type]', 'of this type only').choices(types))
    .action(async (type: EntityType | undefined, options: Options) => done(await list(type, options, io)))
  withData(registry.command('get').summary('one entity, in JSON'), io)
    .addArgument(new Argument('<type>').choices(types))
    .argument('<id>')
    .action(async (type: EntityType, id: string, options: Options) => done(await get(type, id, options, io)))
  const apply = registry
    .command('apply')
    .summary('propose what a file says; approvers answer with their passkeys')
    .description(
      'Proposes to the approvers what a YAML file says: `agents`, `rules`, `tool_servers`, `enforcement_points`, and ' +
        '`retire` (a list of {type, id}). What the file does not name stays as it is. Proposing changes nothing: the ' +
        'registry changes once approvers have signed exactly this with their passkeys.',
    )
    .argument('<file>', 'the registry file (YAML)')
    .option('--dry-run', 'show what would change, and propose nothing')
    .option('--wait', 'wait until it is applied (0) or refused (1)')
    .option(
      '--proposer <name>',
      'who proposes it; someone else must approve, unless there is a single operator',
      'operator',
    )
  withJson(withData(apply, io)).action(async (file: string, options: ApplyCommand) =>
    done(await applyFile(file, options, io)),
  )
}

async function list(type: EntityType | undefined, { data, json }: Options, io: Io): Promise<ExitCode> {
  const entities = (await presentEntities(operatorOf(data))).filter(
    (entity) => type === undefined || entity.type === type,
  )
  if (json) io.out(JSON.stringify(entities))
  else for (const entity of entities) io.out(`${entity.type.padEnd(18)} v${entity.version}  ${entity.id}`)
  return exitCodes.ok
}

async function get(type: EntityType, id: string, { data }: Options, io: Io): Promise<ExitCode> {
  const found = (await presentEntities(operatorOf(data))).find((entity) => entity.type === type && entity.id === id)
  if (found === undefined) {
    io.err(`there is no ${type} ${id}`)
    return exitCodes.fault
  }
  for (const line of JSON.stringify(found.value, undefined, 2).split('\n')) io.out(line)
  return exitCodes.ok
}

const proposedSchema = z.object({ request_id: z.string().nullable() })

async function applyFile(file: string, options: ApplyCommand, io: Io): Promise<ExitCode> {
  const { data, json, dryRun } = options
  const wanted = readRegistryFile(file)
  if (wanted.length === 0) throw new ServiceError('config_invalid', `${file} names no entity`)
  const operator = operatorOf(data)
  const diff = differences(wanted, await presentEntities(operator))
  if (!json) for (const line of diffLines(diff)) io.out(line)
  if (dryRun || diff.length === 0) {
    if (json) io.out(JSON.stringify({ request_id: null, diff }))
    else io.out(diff.length === 0 ? 'The registry is already as the file says.' : '\nNothing was proposed (--dry-run).')
    return exitCodes.ok
  }
  const answer = await operator.post('/operator/registry/changes', {
    proposer: options.proposer,
    entities: diff.map(({ type, id, after }) => ({ type, id, value: after })),
  })
  const { request_id: id } = expectAnswer(proposedSchema, answer)
  const approveAt = `${readInstallation(data).trust.public_url}/console`
  if (json && !options.wait) io.out(JSON.stringify({ request_id: id, diff, approve_at: approveAt }))
  if (!json) io.out(`\nProposed as ${id}. It holds once it is approved with a passkey at ${approveAt}`)
  if (!options.wait || id === null) return exitCodes.ok
  const applied = await settled(operator, id, wanted)
  if (json) io.out(JSON.stringify({ request_id: id, diff, approve_at: approveAt, applied }))
  else io.out(applied ? 'Applied.' : 'Refused, or not answered in time: the registry is as it was.')
  return applied ? exitCodes.ok : exitCodes.fault
}

function differences(wanted: readonly WantedEntity[], present: readonly PresentEntity[]): EntityDiff[] {
  const values = new Map(present.map(({ type, id, value }) => [`${type} ${id}`, value]))
  for (const { type, id, value } of wanted)
    if (value === undefined && !values.has(`${type} ${id}`))
      throw new ServiceError('config_invalid', `retire: there is no ${type} ${id}`)
  return diffOf(wanted, (type, id) => values.get(`${type} ${id}`))
}

const LOOK_EVERY_MS = 250
/** Between the last signature and the registry's own events. */
const LOOKS_AFTER_ANSWER = 40

const pendingSchema = z.object({ requests: z.array(z.object({ id: z.string() })) })

/** Waits as long as the proposal can be answered, then until the issuer has written it. */
async function settled(operator: Operator, id: string, wanted: readonly WantedEntity[]): Promise<boolean> {
  for (let looks = 0; looks < LOOKS_AFTER_ANSWER; ) {
    if (differencesLeft(wanted, await presentEntities(operator)) === 0) return true
    const { requests } = expectAnswer(pendingSchema, await operator.get('/operator/requests'))
    if (!requests.some((request) => request.id === id)) looks++
    await wait(LOOK_EVERY_MS)
  }
  return false
}

function differencesLeft(wanted: readonly WantedEntity[], present: readonly PresentEntity[]): number {
  const values = new Map(present.map(({ type, id, value }) => [`${type} ${id}`, value]))
  return diffOf(wanted, (type, id) => values.get(`${type} ${id}`)).length
}
