import { existsSync } from 'node:fs'
import { ServiceError } from '@bailiwick/errors'
import { paths } from '@bailiwick/installation'
import type { Command } from 'commander'
import type { ExitCode, Io } from '../io.ts'
import { logSource, somethingAt } from '../log-source.ts'
import { type DataOption, type JsonOption, withData, withJson } from '../options.ts'
import { readInput } from '../read-input.ts'
import { auditor } from '../repository.ts'
import { serve } from './serve.ts'

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
        'exactly it, an ALLOW outside its grant or budget or after a revocation, a decision without its outcome.',
    )
    .option('--log <dir>', "the log's folder (default: the data directory's)")
    .option('--trust <file>', "the trust anchor (default: the data directory's trust.json)")
  withJson(withData(command, io)).action(async ({ data, log, trust, json }: Options) => {
    if (!existsSync(auditor))
      throw new ServiceError('config_invalid', 'the auditor is not part of this image: run it from the repository')
    const at = paths(data)
    const [logDir, trustPath] = [log ?? at.log, trust ?? at.trust]
    if (/^https?:/.test(logDir))
      throw new ServiceError('config_invalid', '--log: audit reads a folder: copy the log first')
    readInput('--trust', trustPath, LARGEST_TRUST)
    await somethingAt(logSource(logDir))
    done(await serve(auditor, io.env, { ...io, args: [logDir, trustPath, ...(json ? ['--json'] : [])] }))
  })
}
