import { connectedSidecar, serveStdio } from '@bailiwick/agent/sidecar'
import { ServiceError } from '@bailiwick/errors'
import { untilStopped } from '@bailiwick/host'
import type { Command } from 'commander'
import { variableOf } from '../agent-run/environment.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'

/** `agent connect` */
export function agentConnectCommand(agent: Command, io: Io, done: (code: ExitCode) => void): void {
  agent
    .command('connect')
    .summary('inside agent run: serve one of its servers on standard input and output')
    .description(
      'Inside agent run, serves one of its servers of tools on standard input and output, for a client that starts its servers by a command. ' +
        'It has no key: it reads the address from BAILIWICK_MCP_<NAME>, which agent run sets.',
    )
    .argument('<server>', 'the server, as gateway.yaml names it')
    .action(async (server: string) => done(await connect(server, io)))
}

async function connect(server: string, io: Io): Promise<ExitCode> {
  const variable = variableOf('MCP', server)
  const url = io.env[variable]
  if (url === undefined)
    throw new ServiceError(
      'config_invalid',
      `${variable} is not set: run this inside bailiwick agent run --mcp ${server}`,
    )
  if (io.input === undefined) throw new ServiceError('config_invalid', 'there is no standard input')
  const stopping = new AbortController()
  void untilStopped(io.clock).then(() => stopping.abort())
  await serveStdio(connectedSidecar(url), { input: io.input, write: io.out, signal: stopping.signal })
  return exitCodes.ok
}
