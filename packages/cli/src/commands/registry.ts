import { type EntityType, entitySchemas } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { Argument, type Command } from 'commander'
import { afterwards, groupsOf, starvedLines } from '../groups.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { lenienceLines } from '../lenience.ts'
import { operatorOf } from '../operator-client.ts'
import { type DataOption, type JsonOption, withData, withJson } from '../options.ts'
import { type PresentEntity, presentRegistry } from '../present-entities.ts'
import { appliedLine, proposalLines, propose, settled, unmet } from '../proposal.ts'
import { diffLines, effectLines } from '../registry-diff.ts'
import { readRegistryFile, type WantedEntity } from '../registry-file.ts'
import { withPeople } from '../wanted-people.ts'

type Options = DataOption & JsonOption

interface ApplyCommand extends Options {
  dryRun?: true
  wait?: true
  proposer: string
}

const types = Object.keys(entitySchemas) as EntityType[]

export function registryCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const registry = program
    .command('registry')
    .summary('see and change who and what exists')
    .description(
      'Shows agents, approvers, rules, tool servers, enforcement points and keys, and proposes changes of them, which hold ' +
        'once approvers have signed them on the console.',
    )
  withJson(withData(registry.command('list').summary('what is registered'), io))
    .addArgument(new Argument('[type]', 'of this type only').choices(types))
    .action(async (type: EntityType | undefined, options: Options) => done(await list(type, options, io)))
  withJson(withData(registry.command('get').summary('one entity, or all of a type, in JSON'), io))
    .addArgument(new Argument('<type>').choices(types))
    .argument('[id]')
    .action(async (type: EntityType, id: string | undefined, options: Options) =>
      done(await get(type, id, options, io)),
    )
  withJson(withData(registry.command('groups').summary('who is in which group, and which rules ask it'), io)).action(
    async (options: Options) => done(await listGroups(options, io)),
  )
  const apply = registry
    .command('apply')
    .summary('propose what a file says; approvers answer with their passkeys')
    .description(
      'Proposes to the approvers what a YAML file says: `agents`, `rules`, `tool_servers`, `enforcement_points`, ' +
        '`approvers` (name and groups of people who are enrolled; never a passkey), `groups` (each with exactly its ' +
        'members), and `retire` (a list of {type, id}). What the file does not name stays as it is. Proposing changes nothing: the ' +
        'registry changes once approvers have signed exactly this with their passkeys.',
    )
    .argument('<file>', 'the registry file (YAML)')
    .option('--dry-run', 'show what would change, and propose nothing')
    .option('--wait', 'wait until it is applied (0) or refused (1)')
    .option(
      '--proposer <name>',
      'who is named as the proposer; a name signs nothing, so that two approvers sign all the same',
      'operator',
    )
  withJson(withData(apply, io)).action(async (file: string, options: ApplyCommand) =>
    done(await applyFile(file, options, io)),
  )
}

async function list(type: EntityType | undefined, { data, json }: Options, io: Io): Promise<ExitCode> {
  const { present, lenience } = await presentRegistry(operatorOf(data))
  const entities = present.filter((entity) => type === undefined || entity.type === type)
  for (const line of lenienceLines(lenience)) io.err(line)
  if (json) io.out(JSON.stringify(entities))
  else for (const entity of entities) io.out(`${entity.type.padEnd(18)} v${entity.version}  ${entity.id}`)
  return exitCodes.ok
}

async function listGroups({ data, json }: Options, io: Io): Promise<ExitCode> {
  const { present, lenience } = await presentRegistry(operatorOf(data))
  const groups = groupsOf(present)
  for (const line of [...lenienceLines(lenience), ...starvedLines(present)]) io.err(line)
  if (json) io.out(JSON.stringify(groups))
  else
    for (const { id, members, rules } of groups) {
      io.out(`${id}: ${members.join(', ') || 'no members'}`)
      for (const rule of rules) io.out(`    rule ${rule.id} takes ${rule.quorum}`)
    }
  return exitCodes.ok
}

async function get(type: EntityType, id: string | undefined, { data, json }: Options, io: Io): Promise<ExitCode> {
  const { present, lenience } = await presentRegistry(operatorOf(data))
  for (const line of lenienceLines(lenience)) io.err(line)
  if (id === undefined) {
    const values = present.filter((entity) => entity.type === type).map(({ value }) => value)
    say(values, json, io)
    return exitCodes.ok
  }
  const found = present.find((entity) => entity.type === type && entity.id === id)
  if (found === undefined) {
    io.err(`there is no ${type} ${id}`)
    return exitCodes.fault
  }
  say(found.value, json, io)
  return exitCodes.ok
}

function say(value: unknown, json: true | undefined, io: Io): void {
  for (const line of JSON.stringify(value, undefined, json ? undefined : 2).split('\n')) io.out(line)
}

async function applyFile(file: string, options: ApplyCommand, io: Io): Promise<ExitCode> {
  const { data, json, dryRun } = options
  const read = readRegistryFile(file)
  if (read.entities.length + read.groups.length === 0)
    throw new ServiceError('config_invalid', `${file} names no entity`)
  const operator = operatorOf(data)
  const { present, lenience } = await presentRegistry(operator)
  const wanted = withPeople(read, present, file)
  refuseUnknown(wanted, present)
  const diff = unmet(wanted, present)
  const starved = starvedLines(afterwards(wanted, present))
  for (const line of [...lenienceLines(lenience), ...starved]) io.err(line)
  const effects = effectLines(diff)
  if (!json) for (const line of [...diffLines(diff), ...effects]) io.out(line)
  if (dryRun || diff.length === 0) {
    if (json) io.out(JSON.stringify({ request_id: null, diff, effects }))
    else io.out(diff.length === 0 ? 'The registry is already as the file says.' : 'Nothing was proposed (--dry-run).')
    return exitCodes.ok
  }
  const proposal = await propose(operator, diff, { proposer: options.proposer, present, lenience })
  if (!json) for (const line of proposalLines(proposal)) io.out(line)
  const applied =
    options.wait && proposal.request_id !== null ? await settled(operator, proposal.request_id, wanted) : undefined
  if (json) io.out(JSON.stringify({ diff, effects, ...proposal, applied }))
  else if (applied !== undefined) io.out(appliedLine(applied))
  return applied === false ? exitCodes.fault : exitCodes.ok
}

function refuseUnknown(wanted: readonly WantedEntity[], present: readonly PresentEntity[]): void {
  for (const { type, id, value } of wanted)
    if (value === undefined && !present.some((entity) => entity.type === type && entity.id === id))
      throw new ServiceError('config_invalid', `retire: there is no ${type} ${id}`)
}
