import { userInfo } from 'node:os'
import { createAgent } from '@bailiwick/agent'
import { listenLoopback, openSidecar, serveStdio } from '@bailiwick/agent/sidecar'
import { parseStrictJson } from '@bailiwick/contracts'
import { parseTrust, readKeyFile } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { untilStopped } from '@bailiwick/host'
import { paths } from '@bailiwick/installation'
import { type Command, Option } from 'commander'
import { z } from 'zod'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { keyFileAt, keysSecretIn } from '../key-files.ts'
import { type DataOption, port, wholeNumber, withData } from '../options.ts'
import { readInput } from '../read-input.ts'
import { isInstanceId } from './request.ts'

interface McpOptions extends DataOption {
  gateway: string
  server: string
  key: string
  agent: string
  grant?: string
  catalogue?: string
  holdSeconds: number
  revision: '2025-11-25' | '2026-07-28'
  listen?: number
  trust?: string
  url?: string
}

const largestTrust = 65_536
const largestCatalogue = 16 * 1024 * 1024

/** `agent`: makes an agent of a program that knows nothing of Bailiwick. */
export function agentCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const agent = program
    .command('agent')
    .summary('make an agent of a program that speaks plain MCP')
    .description(
      'Stands beside a program that knows nothing of Bailiwick, holds the key of an agent, and signs what the program does.',
    )
  const mcp = agent
    .command('mcp')
    .summary('a server of tools behind the gateway, for any MCP client')
    .description(
      'Serves one server of tools behind the gateway to an MCP client, on standard input and output, or on a port of this machine. ' +
        'It adds credential, proof and signature to each call. Its own tools bailiwick_request_access, bailiwick_access_status and ' +
        'bailiwick_complete_task let a model ask a human for a task. It approves nothing.',
    )
    .requiredOption('--gateway <url>', "the gateway's address, without a path")
    .requiredOption('--server <name>', 'the server, as gateway.yaml names it')
    .requiredOption('--key <file>', "the instance's key file")
    .requiredOption('--agent <id>', 'who acts: spiffe://<trust domain>/agent/<name>/<instance>')
    .option('--grant <id>', 'a grant that exists already')
    .option('--catalogue <file>', 'a pin file of the server (gateway pin): its tools are shown before they are granted')
    .option(
      '--hold-seconds <n>',
      'how long a call stays open while a human decides, at most 55; 0: it is answered at once',
      wholeNumber(0, 55),
      0,
    )
    .addOption(
      new Option('--revision <date>', 'the revision of MCP that is spoken before there is a grant')
        .choices(['2025-11-25', '2026-07-28'])
        .default('2025-11-25'),
    )
    .option('--listen <port>', 'serve HTTP on this port of 127.0.0.1 instead; 0: any', port)
    .option('--trust <file>', "the installation's trust.json (default: the data directory's)")
    .option('--url <url>', "the installation's address (default: its public address)")
  withData(mcp, io).action(async (options: McpOptions) => done(await serveMcp(options, io)))
}

async function serveMcp(options: McpOptions, io: Io): Promise<ExitCode> {
  if (!isInstanceId(options.agent))
    throw new ServiceError('config_invalid', `--agent: ${options.agent} names no instance of an agent`)
  const gateway = URL.parse(options.gateway)
  if (gateway === null || !/^https?:$/.test(gateway.protocol) || gateway.pathname !== '/' || gateway.search !== '')
    throw new ServiceError('config_invalid', '--gateway: an address without a path, such as https://gateway.example')
  const trust = parseTrust(readInput('--trust', options.trust ?? paths(options.data).trust, largestTrust))
  const cut = options.agent.lastIndexOf('/')
  const agent = createAgent({
    agentId: options.agent.slice(0, cut),
    instance: options.agent.slice(cut + 1),
    key: readKeyFile(...keyFileAt('--key', options.key), 'agent', keysSecretIn(io)),
    installation: trust.installation,
    baseUrl: options.url ?? trust.public_url,
    now: () => io.clock.now(),
    random: io.random,
  })
  await using sidecar = openSidecar({
    ...{ agent, gateway: gateway.origin, server: options.server, publicUrl: trust.public_url },
    ...(options.grant === undefined ? {} : { grantId: options.grant }),
    ...(options.catalogue === undefined ? {} : { catalogue: toolsIn(options.catalogue) }),
    holdSeconds: options.holdSeconds,
    era: options.revision === '2026-07-28' ? 'modern' : 'legacy',
    random: io.random,
    report: (line) => io.err(`bailiwick: ${line}`),
  })
  const stopping = new AbortController()
  const stopped = untilStopped(io.clock).then(() => stopping.abort())
  const user = userInfo().username
  if (options.listen === undefined) {
    io.err(
      `bailiwick: the program that started this one, and every program of user ${user}, can read ${options.key}. ` +
        'To keep the key from them, run this command as another user with --listen.',
    )
    if (io.input === undefined) throw new ServiceError('config_invalid', 'there is no standard input')
    await serveStdio(sidecar, { input: io.input, write: io.out, signal: stopping.signal })
    return exitCodes.ok
  }
  await using loopback = await listenLoopback(sidecar, { port: options.listen, random: io.random })
  io.out(loopback.url)
  io.err(
    `bailiwick: a program that has this address acts as ${options.agent}. Programs of user ${user} can also read ${options.key}; programs of other users cannot.`,
  )
  await stopped
  return exitCodes.ok
}

const pinSchema = z.object({ tools: z.record(z.string(), z.record(z.string(), z.unknown())) })

function toolsIn(file: string): readonly Readonly<Record<string, unknown>>[] {
  try {
    return Object.values(pinSchema.parse(parseStrictJson(readInput('--catalogue', file, largestCatalogue), 64)).tools)
  } catch (cause) {
    throw new ServiceError('config_invalid', `--catalogue: ${file} is no pin file`, { cause })
  }
}
