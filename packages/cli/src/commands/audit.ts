import { parseTrust } from '@bailiwick/credentials'
import { paths } from '@bailiwick/installation'
import { logSource } from '@bailiwick/verify'
import { audit, auditLines } from '@bailiwick/verify/audit'
import type { Command } from 'commander'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { type DataOption, type JsonOption, withData, withJson } from '../options.ts'
import { readInput } from '../read-input.ts'

const LARGEST_TRUST = 65_536

interface Options extends DataOption, JsonOption {
  log?: string
  trust?: string
}

export function auditCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = program
    .command('audit')
    .summary('check what the evidence log means, from its files and the trust anchor alone')
    .description(
      'Reads the log from leaf 0 with code that shares nothing of how the services keep state, and names, with its leaf, ' +
        'each fault that it finds: a credential without an earlier intent, a grant without the passkeys of people over ' +
        'exactly it, an ALLOW outside its grant or budget or after a revocation, a decision without its outcome. ' +
        'It keeps the whole log in memory.',
    )
    .option('--log <dir or url>', "the log's folder or address (default: the data directory's)")
    .option('--trust <file>', "the trust anchor (default: the data directory's trust.json)")
  withJson(withData(command, io)).action(async ({ data, log, trust, json }: Options) => {
    const at = paths(data)
    const anchor = parseTrust(readInput('--trust', trust ?? at.trust, LARGEST_TRUST))
    const { counting: _, ...report } = await audit({ log: logSource(log ?? at.log), trust: anchor })
    for (const line of json ? [JSON.stringify(report)] : auditLines(report)) io.out(line)
    done(report.ok ? exitCodes.ok : exitCodes.fault)
  })
}
