import { userInfo } from 'node:os'
import { listenPostgres, tellsUsers } from '@bailiwick/agent/sidecar'
import { untilStopped } from '@bailiwick/host'
import type { Command } from 'commander'
import { type AgentOptions, agentOf, withAgent } from '../agent-run/agent-of.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { collect, port, withData } from '../options.ts'

interface PostgresOptions extends AgentOptions {
  database: string
  grant: readonly string[]
  listen: number
}

/** `agent postgres` */
export function agentPostgresCommand(agent: Command, io: Io, done: (code: ExitCode) => void): void {
  const postgres = agent
    .command('postgres')
    .summary('a database behind the gateway, for any client of PostgreSQL')
    .description(
      'Serves a database behind the gateway on a port of this machine, to clients of PostgreSQL that are not changed. Prints their ' +
        'connection string, with a password that is good here alone. Each connection is decided by the gateway, under the grant, and lasts ' +
        'minutes.',
    )
    .requiredOption('--database <name>', 'the database, as gateway.yaml names it')
    .requiredOption('--grant <id>', 'a grant that exists already; may be repeated', collect, [])
    .option('--listen <port>', 'the port of 127.0.0.1; 0: any', port, 0)
  withData(withAgent(postgres), io).action(async (options: PostgresOptions) => done(await servePostgres(options, io)))
}

async function servePostgres(options: PostgresOptions, io: Io): Promise<ExitCode> {
  const { agent, gateway } = agentOf(options, io)
  const stopped = untilStopped(io.clock)
  const isTold = await tellsUsers()
  await using listener = await listenPostgres({
    ...{ agent, address: `${gateway}/postgres/${options.database}`, port: options.listen, random: io.random },
    grants: () => options.grant,
    user: isTold ? process.getuid?.() : undefined,
  })
  io.out(listener.url)
  io.err(
    `bailiwick: a program that has this address acts as ${options.agent}. Programs of user ${userInfo().username} can also read ` +
      `${options.key}; programs of other users cannot.`,
  )
  if (!isTold) io.err('bailiwick: this system does not say whose a connection is: keep the password from other users')
  await stopped
  return exitCodes.ok
}
