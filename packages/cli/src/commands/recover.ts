import { entitySchemas, type Recovery } from '@bailiwick/contracts'
import { issuerRoutes } from '@bailiwick/contracts/api'
import { generateKey, jcsHash, signGenesisStatement } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { readInstallation, recoveryFor } from '@bailiwick/installation'
import type { Command } from 'commander'
import { expectAnswer } from '../expect-answer.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { keysSecretIn, rootKeyOf } from '../key-files.ts'
import { operatorOf } from '../operator-client.ts'
import { type DataOption, type JsonOption, withData, withJson } from '../options.ts'

interface RecoverCommand extends DataOption, JsonOption {
  rootKey?: string
  approver: string
  name: string
  groups: string
}

export function recoverCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = program
    .command('recover')
    .summary('all passkeys are lost: enrol an approver on the root key’s word, after 24 h')
    .description(
      'Registers a recovery, signed by the offline root key: the holder of its address can make one new ' +
        'passkey for this approver, once, from 24 h later on. Until then, all enrolled approvers see it, on every ' +
        'page and report, and can have it retired. The approver’s other passkeys count no longer once it was used. The ' +
        'address is printed on a terminal only; elsewhere its file is named.',
    )
    .option('--root-key <file>', 'the root key (default: root.json in the data directory’s keys/root)')
    .requiredOption('--approver <id>', 'whose passkeys are lost; or a new approver')
    .requiredOption('--name <name>', 'as people know that person')
    .requiredOption('--groups <groups>', 'the groups to be in then, separated by commas')
  withJson(withData(command, io)).action(async (options: RecoverCommand) => done(await recover(options, io)))
}

const answerSchema = issuerRoutes.registerRecovery.answer

async function recover(options: RecoverCommand, io: Io): Promise<ExitCode> {
  const { data, json, approver, name, groups } = options
  const { trust } = readInstallation(data)
  const root = rootKeyOf({ data, trust }, options.rootKey, keysSecretIn(io))
  const key = generateKey('invitation')
  const value = recoveryOf({
    id: `rcv-${Buffer.from(io.random(10)).toString('hex')}`,
    jwk: key.publicJwk,
    approver_id: approver,
    name,
    groups: groups.split(',').map((group) => group.trim()),
  })
  const { installation } = trust
  const named = { entity_type: 'recovery', entity_id: value.id, version: 1, after: jcsHash(value) }
  const jws = signGenesisStatement({ installation, ...named }, root)
  // Keep the address before the recovery is registered: a recovery whose address is lost could only be retired.
  const shown = recoveryFor(data, { id: value.id, key }, { terminal: io.terminal === true && !json })
  const answer = expectAnswer(answerSchema, await operatorOf(data).post('/operator/recoveries', { value, jws }))
  if (json) io.out(JSON.stringify({ ...answer, ...('file' in shown ? { recovery_file: shown.file } : {}) }))
  else
    for (const line of [
      `RECOVERY ${value.id} is registered, and every page announces it.`,
      `  who     ${name} (${approver}), in ${value.groups.join(', ')}`,
      `  from    ${answer.usable_from}: until then it opens nothing`,
      '  undo    registry apply a file with retire: [{ type: recovery, id: … }]; an approver signs it',
      '',
      'file' in shown
        ? 'From then on the address in this file makes one new passkey for that person, once. It is a secret:'
        : 'From then on this address makes one new passkey for that person, once. It is a secret, and is not shown again:',
      `  ${'file' in shown ? shown.file : shown.address}`,
    ])
      io.out(line)
  return exitCodes.ok
}

function recoveryOf(facts: object): Recovery {
  const parsed = entitySchemas.recovery.safeParse(facts)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const option = { approver_id: '--approver', name: '--name', groups: '--groups' }[String(issue?.path[0])]
  throw new ServiceError('config_invalid', `${option ?? 'recover'}: ${issue?.message}`)
}
