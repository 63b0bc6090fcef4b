import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { ServiceError } from '@bailiwick/errors'
import { writeFileDurably } from '@bailiwick/kit'
import { Argument, type Command } from 'commander'
import { changeLines, fileLines, guessLines, shownPath } from '../gateway/lines.ts'
import { approvePin, proposePin } from '../gateway/pins.ts'
import { type Plan, planServer } from '../gateway/plan.ts'
import { draftPoint } from '../gateway/point.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { lenienceLines } from '../lenience.ts'
import { operatorOf } from '../operator-client.ts'
import { collect, type DataOption, type JsonOption, withData, withJson } from '../options.ts'
import { presentRegistry } from '../present-entities.ts'
import { appliedLine, proposalLines, propose, settled, unmet } from '../proposal.ts'
import { diffLines, effectLines } from '../registry-diff.ts'
import type { WantedEntity } from '../registry-file.ts'
import { dataOption, type ReadingOptions, withReading } from './gateway-options.ts'

interface AddOptions extends DataOption, JsonOption, ReadingOptions {
  url?: string
  private?: true
  header?: string[]
  env?: string[]
  publicUrl?: string
  mayRelease?: true
  dryRun?: true
  wait?: true
  proposer: string
}

/** `gateway add`: turns an existing server into a governed one, except for the approval. */
export function gatewayAddCommand(gateway: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = gateway
    .command('add')
    .summary('put a server of tools behind the gateway, and propose its entries')
    .description(
      'Reads an MCP server as the gateway will, adds it to gateway.yaml, drafts its registry entry and that of the gateway with the keys ' +
        'that it needs, shows all of it, and proposes it to the approvers. The labels of its tools are guesses from their names and ' +
        'annotations, marked as such. Once the change is approved: serve gateway. An entry that the file has already is taken as it is.',
    )
    .addArgument(new Argument('<kind>', 'what it speaks').choices(['mcp']))
    .argument('<name>', 'its name: agents call it at /mcp/NAME')
    .argument('[command...]', 'behind --: the command that starts it, for a server on standard input and output')
    .option('--url <url>', 'its address, for a server over streamable HTTP')
    .option('--private', 'the name in --url may lead to private addresses, as in a cluster')
    .option(
      '--header <name=value>',
      `with --url: a field that the gateway adds, such as 'authorization=Bearer \${secret:file:/run/secrets/billing}'; may be given more than once`,
      collect,
    )
    .option(
      '--env <name=value>',
      `with a command: a variable of its environment, such as 'TOKEN=\${secret:file:/run/secrets/token}'; may be given more than once`,
      collect,
    )
    .option('--public-url <url>', 'where agents reach the gateway (default: as registered, or http://localhost:8425)')
    .option(
      '--may-release',
      'the gateway may say that a call was not executed, which gives the budget back, or that it goes on',
    )
    .option('--dry-run', 'show what would change, and write and propose nothing')
    .option('--wait', 'wait until it is applied (0) or refused (1)')
    .option('--proposer <name>', 'who is named as the proposer; a name signs nothing', 'operator')
  withReading(withJson(withData(command, io))).action(
    async (_: string, name: string, words: string[], options: AddOptions) => done(await add(name, words, options, io)),
  )
}

async function add(name: string, words: readonly string[], options: AddOptions, io: Io): Promise<ExitCode> {
  const { data, json, dryRun, config, proposer } = options
  const run = `bailiwick serve gateway --config ${config}${dataOption(data, io)}`
  const operator = operatorOf(data)
  const { present, lenience } = await presentRegistry(operator)
  const entry = entryOf(words, options)
  const plan = await planServer({ name, config, entry, adding: true, timeoutSeconds: options.timeout, present }, io)
  const { publicUrl, mayRelease = false } = options
  const point = draftPoint(plan, present, { name, publicUrl, mayRelease })
  const wanted: WantedEntity[] = [
    { type: 'tool-server', id: plan.entry.id, value: plan.entry },
    { type: 'enforcement-point', id: point.entry.id, value: point.entry },
  ]
  const diff = unmet(wanted, present)
  const effects = effectLines(diff)
  for (const line of lenienceLines(lenience)) io.err(line)
  const about = {
    file: plan.file === undefined ? null : { path: config, ...plan.file },
    ...{ diff, effects, guesses: plan.guesses, notes: plan.notes },
    ...{ changes: plan.changes, manifest: plan.manifest, era: plan.era },
  }
  if (!json) for (const line of [...planLines(plan, config), ...diffLines(diff), ...effects]) io.out(line)
  if (dryRun) {
    if (json) io.out(JSON.stringify({ request_id: null, ...about }))
    else io.out('Nothing was written nor proposed (--dry-run).')
    return exitCodes.ok
  }
  const keyFiles = point.writeKeys()
  await proposePin(plan)
  if (plan.file !== undefined) await writeConfig(config, plan.file)
  if (!json && keyFiles.length > 0)
    io.out(`The gateway's keys are in ${keyFiles.map(shownPath).join(' and ')}: give them to the gateway alone.`)
  if (diff.length === 0) {
    if (json) io.out(JSON.stringify({ request_id: null, ...about }))
    else io.out(`The registry has ${name} as it is. Run it: ${run}`)
    return exitCodes.ok
  }
  const proposal = await propose(operator, diff, { proposer, present, lenience })
  if (!json) for (const line of proposalLines(proposal)) io.out(line)
  const applied =
    options.wait && proposal.request_id !== null ? await settled(operator, proposal.request_id, wanted) : undefined
  if (applied === true) await approvePin(plan)
  if (json) io.out(JSON.stringify({ ...about, ...proposal, applied }))
  else {
    if (applied !== undefined) io.out(appliedLine(applied))
    if (applied !== false) io.out(`${applied ? 'Run' : 'Then run'} it: ${run}`)
  }
  return applied === false ? exitCodes.fault : exitCodes.ok
}

const planLines = (plan: Plan, config: string): string[] => [
  ...(plan.file === undefined ? [] : fileLines(config, plan.file)),
  ...changeLines(plan.changes),
  ...guessLines(plan.guesses),
  ...plan.notes.map((note) => `NOTE: ${note}`),
]

/** The entry of gateway.yaml that the options describe; undefined if they describe none: then the file must have it. */
function entryOf(words: readonly string[], options: AddOptions): Record<string, unknown> | undefined {
  const { url, header = [], env = [] } = options
  if (url !== undefined && words.length > 0)
    throw new ServiceError('config_invalid', 'a server has an address (--url) or a command (-- CMD), and not both')
  if (words.length > 0) {
    if (header.length > 0 || options.private)
      throw new ServiceError('config_invalid', '--header and --private: with --url alone')
    return { command: [...words], ...(env.length === 0 ? {} : { env: pairsOf('--env', env) }) }
  }
  if (env.length > 0) throw new ServiceError('config_invalid', '--env: with a command alone (-- CMD)')
  if (url === undefined) {
    if (header.length > 0 || options.private)
      throw new ServiceError('config_invalid', '--header and --private: with --url')
    return undefined
  }
  const fields = Object.fromEntries(
    Object.entries(pairsOf('--header', header)).map(([name, value]) => [name.toLowerCase(), value]),
  )
  return {
    // In the form in which the gateway reads it, so that a second run finds the same entry.
    url: URL.parse(url)?.href ?? url,
    ...(options.private ? { private: true } : {}),
    ...(header.length === 0 ? {} : { inject: { headers: fields } }),
  }
}

const secretNames = /auth|token|secret|passw|cookie|api-?_?key|credential/i

function pairsOf(option: string, texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const cut = text.indexOf('=')
      if (cut < 1) throw new ServiceError('config_invalid', `${option}: expected NAME=VALUE`)
      const [name, value] = [text.slice(0, cut), text.slice(cut + 1)]
      if (secretNames.test(name) && !value.includes('${secret:'))
        throw new ServiceError(
          'config_invalid',
          `${option}: ${name} looks like a secret, which gateway.yaml does not hold: put it into a file, and say '${name}=\${secret:file:/path}'`,
        )
      return [name, value]
    }),
  )
}

/** Replaces the file that was read, unless a person changed it meanwhile. */
async function writeConfig(path: string, { before, after }: NonNullable<Plan['file']>): Promise<void> {
  const now = existsSync(path) ? readFileSync(path, 'utf8') : null
  if (now !== before) throw new ServiceError('config_invalid', `${path} was changed meanwhile: start again`)
  mkdirSync(dirname(path), { recursive: true })
  await writeFileDurably(path, Buffer.from(after), { mode: before === null ? 0o644 : statSync(path).mode & 0o777 })
}
