import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { keyFilePath } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { developerNames } from '@bailiwick/host'
import { openGrantStore, runService } from '@bailiwick/host/process'
import { initialise, paths, readPolicyFiles } from '@bailiwick/installation'
import { systemClock } from '@bailiwick/kit'
import type { z } from 'zod'
import { sample, sampleAgentId, sampleEntities, sampleKeyFile } from '../sample.ts'
import { startStandalone } from '../start.ts'
import { type AnswerRules, readAnswerRules, rulesWithin } from './answer-rules.ts'
import { enrolApprover } from './approver.ts'
import { configSchema } from './config.ts'
import { answerRequests } from './software-approver.ts'
import { softwarePasskey } from './software-passkey.ts'

// The process of `bailiwick dev`: standalone, in an installation whose approver is this process.

type Config = z.output<typeof configSchema>
type Names = Partial<Record<'BAILIWICK_DATA' | (typeof developerNames)[number], string>>

let rules: AnswerRules
const stopping = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => stopping.abort())
let answering: Promise<void> | undefined

process.exitCode = await runService({
  name: 'standalone',
  env: process.env,
  schema: configSchema,
  prepare(config) {
    const { BAILIWICK_DATA: data, BAILIWICK_PORT: port } = config
    refuseForeignEnv(config.BAILIWICK_DEV_ENV)
    const { BAILIWICK_DEV_APPROVE: file, BAILIWICK_DEV_ENTITIES: entities } = config
    rules =
      file === undefined
        ? rulesWithin({ minutes: config.BAILIWICK_DEV_MAX_MINUTES, calls: config.BAILIWICK_DEV_MAX_CALLS })
        : readAnswerRules(file)
    initialise({
      data,
      publicUrl: `http://localhost:${port}`,
      singleOperator: true,
      softwareApprover: true,
      now: systemClock.now(),
      randomBytes,
      policies: readPolicyFiles(config.BAILIWICK_DEV_POLICIES),
      entities: entities === undefined ? () => sampleEntities(data) : JSON.parse(readFileSync(entities, 'utf8')),
    })
  },
  async start(config, host) {
    await using started = new AsyncDisposableStack()
    const grantStore = started.use(await openGrantStore(config, host))
    started.use(await startStandalone(config, host, { grantStore }))
    started.defer(async () => {
      stopping.abort()
      await answering
    })
    return started.move()
  },
  async ready(config, { data, trust, clock, logger }) {
    const { public_url: url } = trust
    // Without a counter (0), like many authenticators: a browser may use the exported passkey at the same time as this process.
    const passkey = softwarePasskey({ rpId: trust.rp_id, origin: url }).raw({ signCount: 0 })
    const approver = await enrolApprover({ url, data }, { id: sample.owner, name: 'Software approver' }, passkey)
    rmSync(keyFilePath(paths(data).keys('invitation'), 'invitation'))
    const passkeyFile = join(data, 'approver.json')
    writeFileSync(passkeyFile, `${JSON.stringify(approver.passkey.exported())}\n`, { mode: 0o600 })
    const names = namesOf(data, trust, passkeyFile)
    if (config.BAILIWICK_DEV_ENV !== undefined) writeEnv(config.BAILIWICK_DEV_ENV, names)
    answering = answerRequests({ approver, rules, clock, logger, say: console.log, signal: stopping.signal })
    console.log(banner(names, config))
  },
  complain: console.error,
})

/** The names that a program needs. Those of the sample are included only if the sample exists. */
function namesOf(data: string, trust: { public_url: string; installation: string }, passkeyFile: string): Names {
  const agentKey = sampleKeyFile(data, 'reconciler')
  return {
    BAILIWICK_URL: trust.public_url,
    BAILIWICK_INSTALLATION: trust.installation,
    BAILIWICK_TRUST: paths(data).trust,
    BAILIWICK_DATA: data,
    BAILIWICK_APPROVER: sample.owner,
    BAILIWICK_APPROVER_PASSKEY: passkeyFile,
    ...(existsSync(agentKey)
      ? {
          BAILIWICK_AGENT: sampleAgentId('reconciler'),
          BAILIWICK_AGENT_INSTANCE: sample.instance,
          BAILIWICK_AGENT_KEY: agentKey,
          BAILIWICK_POINT: sample.enforcementPoint,
          BAILIWICK_POINT_CALLER_KEY: sampleKeyFile(data, 'point-caller'),
          BAILIWICK_POINT_OUTCOME_KEY: sampleKeyFile(data, 'point-outcome'),
        }
      : {}),
  }
}

function writeEnv(file: string, names: Names): void {
  const lines = Object.entries(names).map(([name, value]) => `${name}=${/\s/.test(value) ? `"${value}"` : value}\n`)
  rmSync(file, { force: true })
  writeFileSync(file, lines.join(''), { mode: 0o600 })
}

/** A file of the user's own is not overwritten. */
function refuseForeignEnv(file: string | undefined): void {
  if (file === undefined || !existsSync(file)) return
  const known: readonly string[] = ['BAILIWICK_DATA', ...developerNames]
  const foreign = Object.keys(parseEnv(readFileSync(file, 'utf8'))).find((name) => !known.includes(name))
  if (foreign !== undefined)
    throw new ServiceError(
      'config_invalid',
      `--env: ${file} holds ${foreign}, which is not of bailiwick dev: name another file`,
    )
}

function banner(names: Names, config: Config): string {
  const { BAILIWICK_DEV_APPROVE: file, BAILIWICK_DEV_MAX_CALLS: calls, BAILIWICK_DEV_MAX_MINUTES: minutes } = config
  return [
    '',
    `Bailiwick is ready at ${names.BAILIWICK_URL} after ${process.uptime().toFixed(1)} s. Ctrl-C ends it.`,
    'SOFTWARE APPROVER: a program answers requests here, and no person. Only for development.',
    file === undefined
      ? `It approves up to ${calls} calls and ${minutes} minutes, and denies the rest. Write your own rules: --approve FILE`
      : `It answers by ${file}.`,
    '',
    ...Object.entries(names).map(([name, value]) => `  ${name}=${value}`),
    '',
  ].join('\n')
}
