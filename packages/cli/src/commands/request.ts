import {
  type AccessTask,
  createAgent,
  joinToken,
  tokenFiles,
  type WorkloadAttestation,
  workloadKey,
} from '@bailiwick/agent'
import { agentIdOf, parseStrictJson, spiffeIdSchema } from '@bailiwick/contracts'
import { type Action, parseTrust, readKeyFile } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { paths } from '@bailiwick/installation'
import { type Command, Option } from 'commander'
import { z } from 'zod'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { keyFileAt } from '../key-files.ts'
import { type DataOption, type JsonOption, wholeNumber, withData, withJson } from '../options.ts'
import { readInput } from '../read-input.ts'

interface RequestCommand extends DataOption, JsonOption {
  key: string
  agent: string
  authority: string
  mode: 'window' | 'per_action'
  action?: string
  actionDigest?: string
  expires: number
  purpose?: string
  trust?: string
  attestor?: WorkloadAttestation['kind']
  tokenFile?: string
  tokenEnv?: string
  url?: string
  wait?: true
}

const LARGEST_INPUT = 65_536

export function requestCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = program
    .command('request')
    .summary('ask, as an agent, for what a task needs')
    .description(
      'Signs an access request with the key of an agent instance and hands it in. It grants nothing: an approver answers it. ' +
        'It needs no more than the key and trust.json, so it also runs on the machine of the agent.',
    )
    .requiredOption('--key <file>', "the instance's key file; of a workload that attests it is made if it is missing")
    .requiredOption('--agent <id>', 'who asks: spiffe://<trust domain>/agent/<name>/<instance>')
    .requiredOption('--authority <file>', 'what is asked for: a bailiwick_task in JSON')
    .addOption(
      new Option('--mode <mode>', 'one approval for a window, or for one action')
        .choices(['window', 'per_action'])
        .default('window'),
    )
    .option(
      '--action <file>',
      'the one action, of mode per_action: {name, properties, resource} in JSON; approvers see all of it',
    )
    .option('--action-digest <digest>', 'instead: only its digest, if the rule says `arguments: digest_only`')
    .option('--expires <seconds>', 'how long it lasts, at most 28800', wholeNumber(1, 28_800), 3600)
    .option('--purpose <text>', "why, in the agent's own words")
    .addOption(
      new Option(
        '--attestor <kind>',
        'of an agent whose keys are not registered: how it shows which instance it is',
      ).choices(['jwt_svid', 'oidc', 'join_token']),
    )
    .option('--token-file <file>', 'where its token for approval stands, or the whole join token')
    .option('--token-env <name>', 'or the environment variable that has it')
    .option('--trust <file>', "the installation's trust.json (default: the data directory's)")
    .option('--url <url>', "where to hand it in (default: the installation's public address)")
    .option('--wait', 'wait for the answer: approved (0), or not (1)')
  withJson(withData(command, io)).action(async (options: RequestCommand) => done(await request(options, io)))
}

async function request(options: RequestCommand, io: Io): Promise<ExitCode> {
  if (!isInstanceId(options.agent))
    throw new ServiceError(
      'config_invalid',
      `--agent: ${options.agent} names no instance of an agent, such as spiffe://bailiwick.local/agent/reconciler/i1`,
    )
  const trust = parseTrust(readInput('--trust', options.trust ?? paths(options.data).trust, LARGEST_INPUT))
  const cut = options.agent.lastIndexOf('/')
  const attestation = attestationOf(options, io)
  const keyFile = keyFileAt('--key', options.key)
  const agent = createAgent({
    agentId: options.agent.slice(0, cut),
    instance: options.agent.slice(cut + 1),
    // A misspelt file name must not create a new key where a registered one is meant.
    key: attestation ? workloadKey(options.key) : readKeyFile(...keyFile, 'agent'),
    ...(attestation ? { attestation } : {}),
    installation: trust.installation,
    baseUrl: options.url ?? trust.public_url,
    now: () => io.clock.now(),
    random: io.random,
  })
  const asked = await agent.request({
    authority: jsonIn('--authority', options.authority),
    mode: options.mode,
    expiresInSeconds: options.expires,
    ...(options.action === undefined ? {} : { action: actionIn(options.action) }),
    ...(options.actionDigest === undefined ? {} : { actionDigest: options.actionDigest }),
    ...(options.purpose === undefined ? {} : { purpose: options.purpose }),
  })
  if (!options.json) {
    io.out(`Asked as ${asked.requestId}: ${asked.status}, to be answered by ${asked.expiresAt}`)
    io.out(`  an approver answers it at ${trust.public_url}/console`)
  }
  const task = options.wait ? await agent.waitForDecision(asked.requestId) : asked
  if (options.json) io.out(JSON.stringify(machineTask(task)))
  else if (task !== asked) io.out(`${task.status}${task.grantId === undefined ? '' : `: ${task.grantId}`}`)
  return task.status === 'approved' || (task.status === 'pending' && !options.wait) ? exitCodes.ok : exitCodes.fault
}

/** A SPIFFE ID of an agent, followed by the name of an instance. */
export const isInstanceId = (text: string) =>
  spiffeIdSchema.safeParse(text).success && spiffeIdSchema.safeParse(agentIdOf(text)).success

/** Approval gets only its half of a join token, which is given here as it was printed. */
function attestationOf(options: RequestCommand, { env }: Io): WorkloadAttestation | undefined {
  const { attestor: kind, tokenFile: file, tokenEnv: name } = options
  if (kind === undefined && file === undefined && name === undefined) return undefined
  if (kind === undefined || (file === undefined) === (name === undefined))
    throw new ServiceError('config_invalid', '--attestor needs --token-file or --token-env, and they need it')
  if (file !== undefined && kind !== 'join_token') return { kind, token: tokenFiles({ 'access-requests': file }) }
  const given = file === undefined ? env[name ?? ''] : readInput('--token-file', file, LARGEST_INPUT).toString()
  const value = given?.trim()
  if (value === undefined || value === '') throw new ServiceError('config_invalid', `--token-env: ${name} is not set`)
  return { kind, token: kind === 'join_token' ? joinToken(value) : () => value }
}

function machineTask({ requestId, status, grantId, expiresAt }: AccessTask): unknown {
  return { request_id: requestId, status, grant_id: grantId, expires_at: expiresAt }
}

const actionSchema = z.strictObject({
  name: z.string(),
  properties: z.record(z.string(), z.unknown()),
  resource: z.strictObject({ type: z.string(), id: z.string() }),
})

function actionIn(file: string): Action {
  const read = actionSchema.safeParse(jsonIn('--action', file))
  if (read.success) return read.data
  throw new ServiceError('config_invalid', `--action: ${file}: not {name, properties, resource: {type, id}}`)
}

/** JSON in a file that a person named. Throws `config_invalid` with the option that named it. */
export function jsonIn(option: string, file: string): unknown {
  const bytes = readInput(option, file, LARGEST_INPUT)
  try {
    return parseStrictJson(bytes)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : 'not JSON'
    throw new ServiceError('config_invalid', `${option}: ${file}: ${why}`, { cause })
  }
}
