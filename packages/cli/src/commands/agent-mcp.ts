import { userInfo } from 'node:os'
import { resolve } from 'node:path'
import { listenLoopback, openSidecar, serveStdio } from '@bailiwick/agent/sidecar'
import { parseStrictJson } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { untilStopped } from '@bailiwick/host'
import { type Command, Option } from 'commander'
import { z } from 'zod'
import { type AgentOptions, agentOf, withAgent } from '../agent-run/agent-of.ts'
import { type Client, configLines, printConfigOption } from '../agent-run/print-config.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { port, wholeNumber, withData } from '../options.ts'
import { readInput } from '../read-input.ts'
import { thisCommand } from '../repository.ts'

interface McpOptions extends AgentOptions {
  server: string
  grant?: string
  catalogue?: string
  holdSeconds: number
  revision: '2025-11-25' | '2026-07-28'
  listen?: number
  printConfig?: Client
}

const largestCatalogue = 16 * 1024 * 1024

/** `agent mcp` */
export function agentMcpCommand(agent: Command, io: Io, done: (code: ExitCode) => void): void {
  const mcp = agent
    .command('mcp')
    .summary('a server of tools behind the gateway, for any MCP client')
    .description(
      'Serves one server of tools behind the gateway to an MCP client, on standard input and output, or on a port of this machine. ' +
        'It adds credential, proof and signature to each call. Its own tools bailiwick_request_access, bailiwick_access_status and ' +
        'bailiwick_complete_task let a model ask a human for a task. It approves nothing.',
    )
    .requiredOption('--server <name>', 'the server, as gateway.yaml names it')
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
    .addOption(printConfigOption())
  withData(withAgent(mcp), io).action(async (options: McpOptions) => done(await serveMcp(options, io)))
}

async function serveMcp(options: McpOptions, io: Io): Promise<ExitCode> {
  const { agent, trust, gateway } = agentOf(options, io)
  if (options.printConfig !== undefined) return printConfig(options.printConfig, options, io)
  await using sidecar = openSidecar({
    ...{ agent, gateway, server: options.server, publicUrl: trust.public_url },
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
        'To keep the key from them, run this command as another user with --listen, or the program with agent run.',
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

/** The same command, for a client to start. A client starts it in a folder of its own, so files have absolute paths. */
function printConfig(client: Client, options: McpOptions, io: Io): ExitCode {
  const { gateway, server, key, agent, trust, url, data, grant, catalogue, holdSeconds, revision } = options
  const given: [option: string, value: string | undefined][] = [
    ['--gateway', gateway],
    ['--server', server],
    ['--agent', agent],
    ['--key', resolve(key)],
    trust === undefined ? ['--data', resolve(data)] : ['--trust', resolve(trust)],
    ['--url', url],
    ['--grant', grant],
    ['--catalogue', catalogue && resolve(catalogue)],
    ['--hold-seconds', String(holdSeconds)],
    ['--revision', revision],
  ]
  const words = given.flatMap(([option, value]) => (value === undefined ? [] : [option, value]))
  const command = [...thisCommand, 'agent', 'mcp', ...words] as const
  // An encrypted key is read with the secret that this variable of the client's own environment names.
  const variables = io.env.BAILIWICK_KEYS_SECRET_FILE === undefined ? [] : ['BAILIWICK_KEYS_SECRET_FILE']
  for (const line of configLines(client, [{ name: server, command, variables }])) io.out(line)
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
