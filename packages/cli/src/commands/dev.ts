import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { decidingPolicies } from '../deciding-policies.ts'
import { initialEntities } from '../initial-entities.ts'
import type { ExitCode, Io } from '../io.ts'
import { wholeNumber } from '../options.ts'
import { devMain } from '../repository.ts'
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
  untilInputEnds?: true
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
    .option('--port <port>', 'where it listens', wholeNumber(1, 65_535), 8420)
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
    .option(
      '--until-input-ends',
      'ends when its standard input does: a program that starts it and keeps a pipe open ends it even by being killed',
    )
    .action(async (options: DevOptions) => done(await dev(options, io)))
}

async function dev(options: DevOptions, io: Io): Promise<ExitCode> {
  const { port, approve, maxCalls, maxMinutes, registry, policies, env, untilInputEnds } = options
  if (policies !== undefined) decidingPolicies(policies)
  const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-dev-'))
  const setting = (name: string, value: string | number | undefined) =>
    value === undefined ? {} : { [name]: String(value) }
  try {
    const entities = registry === undefined ? undefined : join(scratch, 'entities.json')
    if (entities !== undefined && registry !== undefined)
      writeFileSync(entities, JSON.stringify(initialEntities(registry)), { mode: 0o600 })
    return await serve(
      devMain,
      {
        // What a shell has of a real installation, such as a webhook or a collector, is not for this one.
        ...Object.fromEntries(Object.entries(io.env).filter(([name]) => !name.startsWith('BAILIWICK_'))),
        BAILIWICK_LOG_LEVEL: io.env.BAILIWICK_LOG_LEVEL ?? 'warn',
        BAILIWICK_DATA: options.data ?? join(scratch, 'data'),
        BAILIWICK_PORT: String(port),
        ...setting('BAILIWICK_DEV_APPROVE', approve),
        ...setting('BAILIWICK_DEV_MAX_CALLS', maxCalls),
        ...setting('BAILIWICK_DEV_MAX_MINUTES', maxMinutes),
        ...setting('BAILIWICK_DEV_POLICIES', policies),
        ...setting('BAILIWICK_DEV_ENTITIES', entities),
        ...setting('BAILIWICK_DEV_ENV', env),
      },
      { ...io, ...(untilInputEnds && { until: endOf(io.input) }) },
    )
  } finally {
    if (untilInputEnds) io.input?.destroy?.()
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** Resolves at the end of the input, or when it can no longer be read. */
async function endOf(input: Io['input']): Promise<void> {
  try {
    for await (const _ of input ?? []);
  } catch {
    // As good as its end.
  }
}
