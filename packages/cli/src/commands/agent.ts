import type { Command } from 'commander'
import type { ExitCode, Io } from '../io.ts'
import { agentConnectCommand } from './agent-connect.ts'
import { agentHookCommand } from './agent-hook.ts'
import { agentMcpCommand } from './agent-mcp.ts'
import { agentPostgresCommand } from './agent-postgres.ts'
import { agentRunCommand } from './agent-run.ts'

/** `agent`: makes an agent of a program that knows nothing of Bailiwick. */
export function agentCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const agent = program
    .command('agent')
    .summary('make an agent of a program that is not changed')
    .description(
      'Stands beside a program that knows nothing of Bailiwick, holds the key of an agent, and signs what the program does.',
    )
  agentRunCommand(agent, io, done)
  agentMcpCommand(agent, io, done)
  agentConnectCommand(agent, io, done)
  agentPostgresCommand(agent, io, done)
  agentHookCommand(agent, io, done)
}
