import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { initialise, readPolicyFiles } from '@bailiwick/installation'
import type { Command } from 'commander'
import { initialEntities } from '../initial-entities.ts'
import type { ExitCode, Io } from '../io.ts'
import { port as portIn, wholeNumber } from '../options.ts'
import { defaultPolicies, devMain } from '../repository.ts'
import { serve } from './serve.ts'

interface DevOptions {
  port: number
  data?: string
  approve?: string
  maxCalls?: number
  maxMinutes?: number
  registry?: string
  policies?: string
  env?: string
}

export function devCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  program
    .command('dev')
    .summary('a throw-away installation in which a program approves')
    .description(
      'Starts everything in a throw-away installation for development and tests. A program answers requests: by the rules of --approve, or ' +
        'without it what stays within --max-calls and --max-minutes. The sample agent, tool server and enforcement point are registered, ' +
        'unless --registry names others. trust.json, the console and every report say that a program approves; such an installation runs on ' +
        'this machine alone, and can never be used for anything else.',
    )
    .option('--port <port>', 'where it listens', portIn, 8420)
    .option('--data <dir>', 'a folder that is kept; a temporary one unless given')
    .option('--approve <file>', 'rules by which requests are answered (YAML)')
    .option(
      '--max-calls <n>',
      'without --approve: the most calls that a request may ask for (10000)',
      wholeNumber(0, 999_999_999),
    )
    .option(
      '--max-minutes <n>',
      'without --approve: the longest time that a request may ask for (480)',
      wholeNumber(1, 480),
    )
    .option('--registry <file>', 'agents, rules, tool servers and enforcement points, instead of the sample (YAML)')
    .option('--policies <dir>', 'Cedar policies, instead of the starter policies')
    .option('--env <file>', 'writes names, addresses and key paths there, as lines of NAME=value')
    .action(async (options: DevOptions) => done(await dev(options, io)))
}

async function dev(options: DevOptions, io: Io): Promise<ExitCode> {
  const { port, approve, maxCalls, maxMinutes, registry, policies, env } = options
  const data = options.data ?? mkdtempSync(join(tmpdir(), 'bailiwick-dev-'))
  const setting = (name: string, value: string | number | undefined) =>
    value === undefined ? {} : { [name]: String(value) }
  try {
    if (registry !== undefined)
      initialise({
        data,
        publicUrl: `http://localhost:${port}`,
        singleOperator: true,
        softwareApprover: true,
        now: io.clock.now(),
        randomBytes: io.random,
        policies: readPolicyFiles(policies ?? defaultPolicies),
        entities: initialEntities(registry),
      })
    return await serve(
      devMain,
      {
        BAILIWICK_LOG_LEVEL: 'warn',
        ...io.env,
        BAILIWICK_DATA: data,
        BAILIWICK_PORT: String(port),
        ...setting('BAILIWICK_DEV_APPROVE', approve),
        ...setting('BAILIWICK_DEV_MAX_CALLS', maxCalls),
        ...setting('BAILIWICK_DEV_MAX_MINUTES', maxMinutes),
        ...setting('BAILIWICK_DEV_POLICIES', policies === undefined ? undefined : resolve(policies)),
        ...setting('BAILIWICK_DEV_ENV', env === undefined ? undefined : resolve(env)),
      },
      io,
    )
  } finally {
    if (options.data === undefined) rmSync(data, { recursive: true, force: true })
  }
}
