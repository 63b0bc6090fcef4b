import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { errorCode, errorKinds } from '@bailiwick/errors'
import { misspeltSettings } from '@bailiwick/host'
import { printable } from '@bailiwick/kit'
import { Command, CommanderError } from 'commander'
import { agentCommand } from './commands/agent.ts'
import { agentsCommand } from './commands/agents.ts'
import { auditCommand } from './commands/audit.ts'
import { backupCommand, restoreCommand } from './commands/backup.ts'
import { benchCommand } from './commands/bench.ts'
import { devCommand } from './commands/dev.ts'
import { emergencyCommand } from './commands/emergency.ts'
import { eraseCommand } from './commands/erase.ts'
import { eventsCommand } from './commands/events.ts'
import { gatewayCommand } from './commands/gateway.ts'
import { initCommand } from './commands/init.ts'
import { kafkaCommand } from './commands/kafka.ts'
import { keysCommand } from './commands/keys.ts'
import { policyCommand } from './commands/policy.ts'
import { proveCommand } from './commands/prove.ts'
import { receiptCommand } from './commands/receipt.ts'
import { recoverCommand } from './commands/recover.ts'
import { registryCommand } from './commands/registry.ts'
import { reportCommand } from './commands/report.ts'
import { requestCommand } from './commands/request.ts'
import { requestsCommand } from './commands/requests.ts'
import { revokeCommand } from './commands/revoke.ts'
import { serveCommand } from './commands/serve.ts'
import { statusCommand } from './commands/status.ts'
import { traceCommand } from './commands/trace.ts'
import { verifyCommand } from './commands/verify.ts'
import { witnessCommand } from './commands/witness.ts'
import { withHelp } from './help.ts'
import { type ExitCode, exitCodes, type Io } from './io.ts'

const commands = [
  devCommand,
  initCommand,
  serveCommand,
  gatewayCommand,
  statusCommand,
  requestCommand,
  requestsCommand,
  agentCommand,
  emergencyCommand,
  registryCommand,
  policyCommand,
  recoverCommand,
  keysCommand,
  backupCommand,
  restoreCommand,
  revokeCommand,
  agentsCommand,
  traceCommand,
  auditCommand,
  receiptCommand,
  eventsCommand,
  reportCommand,
  proveCommand,
  eraseCommand,
  verifyCommand,
  witnessCommand,
  benchCommand,
  kafkaCommand,
]

const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../package.json'), 'utf8')) as {
  version: string
}

/** Every command. `done` gets the exit code of the command that ran. */
export function bailiwickProgram(io: Io, done: (code: ExitCode) => void): Command {
  const program = new Command('bailiwick')
    .description('Governs how AI agents reach systems: asked for, approved by a human, decided at run time, proved.')
    .version(version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => eachLine(text, io.out),
      writeErr: (text) => eachLine(text, io.err),
    })
    .showHelpAfterError('(bailiwick COMMAND --help tells more)')
  for (const add of commands) add(program, io, done)
  withHelp(program)
  return program
}

/**
 * Runs one command: `argv` without node and script. Never throws: returns 0 on success, 1 if a fault was found or the answer is no, 2 if it
 * could not run, with the reason on `io.err`.
 */
export async function run(argv: readonly string[], io: Io): Promise<ExitCode> {
  const safe: Io = { ...io, out: (line) => io.out(printable(line)), err: (line) => io.err(printable(line)) }
  let code: ExitCode = exitCodes.ok
  const program = bailiwickProgram(safe, (result) => {
    code = result
  })
  const misspelt = misspeltSettings(io.env)
  if (misspelt.length > 0) {
    for (const line of misspelt) safe.err(`bailiwick: ${line}`)
    return exitCodes.couldNotRun
  }
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.couldNotRun
    eachLine(`bailiwick: ${messageOf(error)}`, safe.err)
    return exitCodes.couldNotRun
  }
}

function eachLine(text: string, say: (line: string) => void): void {
  for (const line of text.trimEnd().split('\n')) say(line)
}

/** A message on which a person can act. A foreign error shows its own message, because that goes no further than this terminal. */
function messageOf(error: unknown): string {
  const code = errorCode(error)
  if (code === 'internal') return error instanceof Error ? error.message : String(error)
  const detail = error instanceof Error && 'detail' in error ? error.detail : undefined
  return `${typeof detail === 'string' ? detail : errorKinds[code].title} (${code})`
}
