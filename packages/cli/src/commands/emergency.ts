import { existsSync } from 'node:fs'
import { type AccessTask, createAgent } from '@bailiwick/agent'
import { spiffeIdSchema } from '@bailiwick/contracts'
import { encodeBase64url, generateKey, keyFilePath, parseTrust, writeKeyFile } from '@bailiwick/credentials'
import { errorCode, ServiceError } from '@bailiwick/errors'
import { paths } from '@bailiwick/installation'
import { after } from '@bailiwick/kit'
import type { Command } from 'commander'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { keyFileAt } from '../key-files.ts'
import { type DataOption, type JsonOption, wholeNumber, withData, withJson } from '../options.ts'
import { readInput } from '../read-input.ts'
import { jsonIn } from './request.ts'

interface Options extends DataOption, JsonOption {
  identity: string
  authority: string
  reason: string
  key: string
  expires: number
  trust?: string
  url?: string
  wait: boolean
}

const largestTrust = 65_536
/** How often it is asked whether a person opened it, in ms. */
const pollMs = 2000

export function emergencyCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = program
    .command('emergency')
    .summary('act where the rules for approval say no: two people sign, for at most 15 minutes')
    .description(
      'Makes a key for one emergency, and prints the address at which you open it, signed in with your passkey. ' +
        'When you open it, all approvers are notified. ' +
        'It grants nothing until you and a second person have signed the same statement in the console. Then act with ' +
        'the key, for example by `bailiwick agent run --grant`.',
    )
    .requiredOption(
      '--identity <id>',
      'your emergency identity in the registry, such as spiffe://acme.example/emergency/olga',
    )
    .requiredOption('--authority <file>', 'what you need: a bailiwick_task in JSON, within the ceiling of the rule')
    .requiredOption('--reason <text>', 'why: the second person and the report show it')
    .requiredOption('--key <file>', 'where to put the key; there must be none yet')
    .option('--expires <seconds>', 'how long it lasts, at most 900', wholeNumber(1, 900), 900)
    .option('--trust <file>', "the installation's trust.json (default: the data directory's)")
    .option('--url <url>', "the installation's address (default: its public address)")
    .option('--no-wait', 'print the address, and do not wait for the two people')
  withJson(withData(command, io)).action(async (options: Options) => done(await emergency(options, io)))
}

async function emergency(options: Options, io: Io): Promise<ExitCode> {
  const { identity, json } = options
  if (!spiffeIdSchema.safeParse(identity).success)
    throw new ServiceError('config_invalid', `--identity: ${identity} is no SPIFFE ID`)
  const trust = parseTrust(readInput('--trust', options.trust ?? paths(options.data).trust, largestTrust))
  const authority = jsonIn('--authority', options.authority)
  const [folder, name] = keyFileAt('--key', options.key)
  // Each emergency has a key of its own, so that none can be renewed.
  if (existsSync(keyFilePath(folder, name)))
    throw new ServiceError('config_invalid', `--key: ${options.key} exists. Each emergency has a new key`)
  const key = generateKey('agent')
  const agent = createAgent({
    agentId: identity,
    instance: key.kid,
    key,
    installation: trust.installation,
    baseUrl: options.url ?? trust.public_url,
    now: () => io.clock.now(),
    random: io.random,
  })
  const { jws, purpose } = agent.signRequest({
    ...{ authority, mode: 'window' as const, expiresInSeconds: options.expires, purpose: options.reason },
  })
  writeKeyFile(folder, name, key)
  const requestId = agent.accessRequestEvent({ jws }).key
  const ask = encodeBase64url(Buffer.from(JSON.stringify({ request: jws, jwk: key.publicJwk, purpose })))
  const url = `${trust.public_url.replace(/\/+$/, '')}/console/emergency#ask=${ask}`
  if (!json) {
    io.out('Open this address within 10 minutes, signed in as the owner of the identity:')
    io.out(`  ${url}`)
    io.out(`The page shows the key of this emergency. It must be this one: ${key.kid}`)
  }
  if (!options.wait) {
    if (json) io.out(JSON.stringify({ url, request_id: requestId, agent: agent.id, key: options.key }))
    return exitCodes.ok
  }
  const task = await answered(agent, requestId, io)
  if (json) io.out(JSON.stringify({ url, request_id: requestId, agent: agent.id, key: options.key, ...statedBy(task) }))
  else if (task.grantId === undefined) io.out(`${task.status}: nothing was granted`)
  else {
    io.out(`Two people signed: ${task.grantId}. Act, and end it when you are done:`)
    io.out(
      `  bailiwick agent run --gateway URL --key ${options.key} --agent ${agent.id} --grant ${task.grantId} --mcp NAME -- COMMAND`,
    )
  }
  return task.grantId === undefined ? exitCodes.fault : exitCodes.ok
}

const statedBy = ({ status, grantId }: AccessTask) => ({
  status,
  ...(grantId === undefined ? {} : { grant_id: grantId }),
})

/** Waits until a person has opened it, and then for the answer. The signed ask can be opened for 10 minutes. */
async function answered(agent: ReturnType<typeof createAgent>, requestId: string, io: Io): Promise<AccessTask> {
  const until = io.clock.monotonic() + 10 * 60_000
  for (;;) {
    const opened = await agent.status(requestId).catch((error: unknown) => {
      if (errorCode(error) !== 'access_request_unknown' || io.clock.monotonic() > until) throw error
      return undefined
    })
    if (opened !== undefined) return agent.waitForDecision(requestId)
    io.progress?.('waiting for you to open it')
    await after(pollMs)
  }
}
