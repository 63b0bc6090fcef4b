import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { readSecretFile } from '@bailiwick/credentials'
import { errorCode, ServiceError } from '@bailiwick/errors'
import { commonSettings, logger as makeLogger, metrics, readConfig, untilStopped } from '@bailiwick/host'
import { ensureDir, writeFileDurably } from '@bailiwick/kit'
import { encodeVkey, isKeyName, parseSkey, SIGNATURE_TYPE, SignerKey } from '@bailiwick/tlog'
import type { Command } from 'commander'
import { z } from 'zod'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { port as portIn } from '../options.ts'
import { readInput } from '../read-input.ts'
import { parseLogs } from '../witness/logs-file.ts'
import { startWitness } from '../witness/start-witness.ts'
import { encodeState, statePath } from '../witness/witness-state.ts'

interface StateOption {
  state: string
}

interface RunOptions extends StateOption {
  logs?: string
  host?: string
  port?: number
}

const DEFAULT_PORT = 8426
const LONGEST_NAME = 255
const LARGEST_LOGS = 1024 * 1024

const { BAILIWICK_HOST, BAILIWICK_PORT, BAILIWICK_TLS, BAILIWICK_METRICS, BAILIWICK_LOG_LEVEL } =
  commonSettings(DEFAULT_PORT)
const configSchema = z.object({
  BAILIWICK_HOST,
  BAILIWICK_PORT,
  BAILIWICK_TLS,
  BAILIWICK_METRICS,
  BAILIWICK_LOG_LEVEL,
})

export function witnessCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const witness = program
    .command('witness')
    .summary('cosign the checkpoints of logs, also of others (C2SP tlog-witness)')
    .description(
      'Answers POST /add-checkpoint: cosigns the checkpoints of the logs that the file names, as long as each extends the ' +
        'one before. Needs nothing of an installation. What it cosigned is in its state folder, without which it does not start.',
    )
    .option('--logs <file>', "a log's vkey a line (default: `logs` in the state folder)")
    .option('--host <address>', 'where it listens; BAILIWICK_HOST, then 127.0.0.1, unless given')
    .option('--port <port>', `BAILIWICK_PORT, then ${DEFAULT_PORT}, unless given`, portIn)
  withState(witness).action(async (options: RunOptions) => done(await serveWitness(options, io)))
  const init = witness
    .command('init')
    .summary('make a new witness: its key and its state')
    .description(
      "Makes the witness's key and an empty state in a folder that has neither, and prints the public key, which logs and " +
        'verifiers need.',
    )
    .argument('<name>', 'names the witness, such as witness.example/audit: no spaces, no plus')
  withState(init).action(async (name: string, _own: unknown, command: Command) => {
    await makeWitness(name, command.optsWithGlobals<StateOption>().state, io)
    done(exitCodes.ok)
  })
}

function withState(command: Command): Command {
  return command.option('--state <dir>', 'the state folder of the witness: its key, and what it cosigned', 'witness')
}

const keyPath = (dir: string) => join(dir, 'witness.key')

async function makeWitness(name: string, dir: string, io: Io): Promise<void> {
  if (!isKeyName(name) || name.length > LONGEST_NAME)
    throw new ServiceError('config_invalid', `${name}: no key may have this name: no spaces, no plus`)
  for (const path of [keyPath(dir), statePath(dir)])
    if (existsSync(path)) throw new ServiceError('config_invalid', `${path} is there: this witness exists already`)
  const key = new SignerKey(name, io.random(32), SIGNATURE_TYPE.COSIGNATURE)
  await ensureDir(dir)
  await writeFileDurably(statePath(dir), encodeState(key.verifier))
  await writeFileDurably(join(dir, 'witness.vkey'), Buffer.from(`${encodeVkey(key.verifier)}\n`), { mode: 0o644 })
  await writeFileDurably(keyPath(dir), Buffer.from(`${key.toSkey()}\n`))
  io.err(
    `Made a witness in ${dir}. Never start it from a copy of that folder: it would not know what it cosigned since.`,
  )
  io.out(encodeVkey(key.verifier))
}

async function serveWitness(options: RunOptions, io: Io): Promise<ExitCode> {
  const { state: dir, host, port } = options
  const config = readConfig(configSchema, {
    ...io.env,
    ...(host === undefined ? {} : { BAILIWICK_HOST: host }),
    ...(port === undefined ? {} : { BAILIWICK_PORT: String(port) }),
  })
  const key = keyIn(dir)
  const logs = parseLogs(readInput('--logs', options.logs ?? join(dir, 'logs'), LARGEST_LOGS).toString('utf8'))
  const logger = makeLogger({ service: 'witness', level: config.BAILIWICK_LOG_LEVEL, destination: process.stderr })
  await using witness = await startWitness(
    { ...config, dir, key, logs },
    {
      clock: io.clock,
      random: io.random,
      logger,
      metrics: metrics({ service: 'witness' }),
      onFatal: (error) => {
        logger.fatal({ err: error, error_code: errorCode(error) }, 'stopping at once: the record may not last')
        process.exit(exitCodes.fault)
      },
    },
  )
  const stopped = untilStopped(io.clock)
  logger.info({ url: witness.url, vkey: encodeVkey(key.verifier), logs: [...logs.keys()] }, 'ready')
  io.out(`${key.verifier.name} cosigns for ${logs.size} ${logs.size === 1 ? 'log' : 'logs'} at ${witness.url}`)
  const signal = await stopped
  logger.info({ signal }, 'stopping')
  return exitCodes.ok
}

function keyIn(dir: string): SignerKey {
  const path = keyPath(dir)
  if (!existsSync(path))
    throw new ServiceError(
      'witness_state_invalid',
      `${resolve(path)} is missing: make a witness with bailiwick witness init NAME --state ${dir}`,
    )
  const key = parseSkey(readSecretFile(path).toString().trim())
  if (key?.verifier.type !== SIGNATURE_TYPE.COSIGNATURE)
    throw new ServiceError('witness_state_invalid', `${path} is not the key of a witness`)
  return key
}
