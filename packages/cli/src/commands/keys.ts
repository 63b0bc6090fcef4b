import type { EntityType } from '@bailiwick/contracts'
import { issuerRoutes, keyStandingSchema, type KeyStanding as Standing } from '@bailiwick/contracts/api'
import { generateKey, jcsHash, keepLaterKey, type ServicePurpose, signGenesisStatement } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { certifiedServiceKey, keyFileNames, paths, readInstallation } from '@bailiwick/installation'
import { Argument, type Command } from 'commander'
import { expectAnswer } from '../expect-answer.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { keysSecretIn, rootKeyOf } from '../key-files.ts'
import { type Operator, operatorOf } from '../operator-client.ts'
import { type DataOption, type JsonOption, withData, withJson } from '../options.ts'
import { keysAgentCommand } from './keys-agent.ts'
import { keysAuditorCommand } from './keys-auditor.ts'
import { keysPointCommand } from './keys-point.ts'

type Options = DataOption & JsonOption
type Step = 'active' | 'tainted' | 'revoked'

const listSchema = issuerRoutes.listKeys.answer

const meaning: Record<Step, string> = {
  active: 'It signs from now on. The one before it signs no more, unless this one is missing somewhere.',
  tainted: 'It signs no more. What it signed verifies until it expires.',
  revoked: 'Nothing that it signed is accepted later than 1 s from now, or 2 s where an instance is cut off.',
}

/**
 * The meaning of a revocation for purposes where it differs from the general one. An enforcement point reads the keys of permits once a
 * minute; events are history.
 */
const ended: Readonly<Record<string, string>> = {
  permit:
    'No decision point signs permits with it any more. Enforcement points take none later than a minute from now.',
  notification:
    'No notification is signed with it any more. Receivers take none by it once they read the key set again.',
  event:
    'What it signed until now stays history. Nothing that states a later time is an event, nor what the bus takes later than a minute from now.',
}

const meansOf = (to: Step, purpose: string): string =>
  (to === 'revoked' ? ended[purpose.endsWith('-event') ? 'event' : purpose] : undefined) ?? meaning[to]

const steps: readonly [verb: string, to: Step, summary: string][] = [
  ['activate', 'active', 'a prepared key signs from now on'],
  ['taint', 'tainted', 'a key signs no more; what it signed verifies until it expires'],
  ['revoke', 'revoked', 'nothing that a key signed is accepted any more; there is no way back'],
]

export function keysCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const keys = program
    .command('keys')
    .summary('make keys for agents and enforcement points; rotate the keys of the services')
    .description(
      'agent and point make keys and the entries of the registry that name them. The other commands are about the keys that services sign ' +
        'with. Each of those goes one way: prepared, active, tainted, revoked.',
    )
  const list = keys.command('list').summary('every key, and where it stands')
  withJson(withData(list, io)).action(async ({ data, json }: Options) => {
    const found = await listed(operatorOf(data))
    if (json) io.out(JSON.stringify({ keys: found }))
    else for (const line of tableOf(found)) io.out(line)
    done(exitCodes.ok)
  })
  const prepare = keys
    .command('prepare')
    .summary('make a key for a day to come, certified by the root key')
    .description(
      'Makes a key, puts its file into the key folder of the service on this machine, has the root key certify it for its ' +
        'one purpose, and publishes it, so that verifiers have it before it signs.',
    )
    .addArgument(new Argument('<purpose>', 'what it is to sign').choices(Object.keys(keyFileNames)))
    .option('--root-key <file>', 'the root key (default: root.json in the data directory’s keys/root)')
  withJson(withData(prepare, io)).action(async (purpose: ServicePurpose, options: Options & { rootKey?: string }) => {
    tell(await prepared(purpose, options, io), 'It is published, and signs nothing until it is activated.', options, io)
    done(exitCodes.ok)
  })
  keysAuditorCommand(keys, io, done)
  keysAgentCommand(keys, io, done)
  keysPointCommand(keys, io, done)
  for (const [verb, to, summary] of steps) {
    const step = keys.command(verb).summary(summary).argument('<kid>', 'which key; its first characters are enough')
    withJson(withData(step, io)).action(async (named: string, options: Options) => {
      const operator = operatorOf(options.data)
      const { kid, purpose } = keyNamed(named, await listed(operator))
      tell(await operator.post('/operator/keys/state', { kid, state: to }), meansOf(to, purpose), options, io)
      done(exitCodes.ok)
    })
  }
}

const listed = async (operator: Operator): Promise<Standing[]> =>
  expectAnswer(listSchema, await operator.get('/operator/keys')).keys

function keyNamed(named: string, all: readonly Standing[]): Standing {
  const [found, ...more] = all.filter(({ kid }) => kid.startsWith(named))
  if (found === undefined) throw new ServiceError('entity_unknown', `there is no key ${named}: see bailiwick keys list`)
  if (more.length > 0) throw new ServiceError('config_invalid', `${more.length + 1} keys begin with ${named}`)
  return found
}

async function prepared(purpose: ServicePurpose, { data, rootKey }: { data: string; rootKey?: string }, io: Io) {
  const { trust } = readInstallation(data)
  const secret = keysSecretIn(io)
  const root = rootKeyOf({ data, trust }, rootKey, secret)
  const key = generateKey(purpose)
  const { installation } = trust
  const certified = certifiedServiceKey(key, { installation, now: io.clock.now(), root })
  const value = { ...certified, state: 'prepared' }
  // The file first: a key that is published but lost could be activated, and would sign nothing.
  keepLaterKey({ folder: paths(data).keys(certified.service), name: keyFileNames[purpose], purpose, secret }, key)
  const entity_type: EntityType = 'service-key'
  const named = { entity_type, entity_id: key.kid, version: 1, after: jcsHash(value) }
  const jws = signGenesisStatement({ installation, ...named }, root)
  return operatorOf(data).post('/operator/keys', { value, jws })
}

function tell(answer: unknown, means: string, { json }: JsonOption, io: Io): void {
  const standing = expectAnswer(keyStandingSchema, answer)
  const lines = [`${standing.purpose} key ${standing.kid} is ${standing.state}.`, means]
  for (const line of json ? [JSON.stringify(standing)] : lines) io.out(line)
}

function tableOf(keys: readonly Standing[]): string[] {
  const rows = keys
    .toSorted((a, b) => a.purpose.localeCompare(b.purpose) || a.since.localeCompare(b.since))
    .map(({ purpose, kid, state, since, not_after }) => [purpose, kid, state, since, not_after.slice(0, 10)])
  const all = [['PURPOSE', 'KEY', 'STATE', 'SINCE', 'CERTIFIED UNTIL'], ...rows]
  const widths = [0, 1, 2, 3].map((n) => Math.max(...all.map((row) => row[n]?.length ?? 0)))
  return all.map((row) =>
    row
      .map((cell, n) => cell.padEnd(widths[n] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}
