import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { readKeysSecret } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { openGrantStore, runService } from '@bailiwick/host/process'
import { initialise, isInitialised, readInstallation, readPolicyFiles } from '@bailiwick/installation'
import { systemClock } from '@bailiwick/kit'
import { configSchema } from './config.ts'
import { startGatewayBeside } from './gateway-beside.ts'
import { sampleAgentId, sampleEntities } from './sample.ts'
import { publishSampleRequest } from './sample-request.ts'
import { startStandalone } from './start.ts'
import { welcome } from './welcome.ts'

const repository = join(import.meta.dirname, '../../..')
const now = () => systemClock.now()
let enrolled = false
let sample = false
let asksForSample = false
const beside = new AsyncDisposableStack()

process.exitCode = await runService({
  name: 'standalone',
  env: process.env,
  schema: configSchema,
  prepare(config) {
    const data = config.BAILIWICK_DATA
    const publicUrl = config.BAILIWICK_PUBLIC_URL ?? `http://localhost:${config.BAILIWICK_PORT}`
    if (isInitialised(data)) {
      refuseAnotherAddress(data, publicUrl, config.BAILIWICK_PUBLIC_URL !== undefined)
      return
    }
    initialise({
      data,
      publicUrl,
      singleOperator: true,
      now: now(),
      randomBytes,
      policies: readPolicyFiles(join(repository, 'policies')),
      entities: () => sampleEntities(data),
      secret: config.BAILIWICK_KEYS_SECRET_FILE && readKeysSecret(config.BAILIWICK_KEYS_SECRET_FILE),
    })
  },
  async start(config, host) {
    await using started = new AsyncDisposableStack()
    const grantStore = started.use(await openGrantStore(config, host))
    const system = started.use(await startStandalone(config, host, { grantStore }))
    const { registry, requests } = system.policyDecision.pdp.projection.ledger
    enrolled = registry.view().enrolled
    // Also after a first start that failed, or that was long ago: a newcomer always finds something to answer.
    sample = registry.get('agent', sampleAgentId('reconciler')) !== undefined
    asksForSample =
      !enrolled &&
      sample &&
      ![...requests.requests.values()].some(
        ({ state, received }) =>
          state === 'pending' && received !== undefined && Date.parse(received.expires_at) > now(),
      )
    // Disposed of first: the gateway delivers its outcomes to the services.
    started.use(beside)
    return started.move()
  },
  async ready(config, host) {
    const file = config.BAILIWICK_GATEWAY_CONFIG
    if (file !== undefined) {
      const { BAILIWICK_GATEWAY_PORT: port, BAILIWICK_GATEWAY_URL: url } = config
      beside.use(startGatewayBeside({ config: file, port, url, env: process.env, logger: host.logger }))
    }
    if (asksForSample) await publishSampleRequest(host)
    const terminal = process.stdout.isTTY
    console.log(welcome(config.BAILIWICK_DATA, host.trust, { enrolled, sample, terminal, env: process.env }))
  },
  complain: console.error,
})

/** Passkeys, credentials and permits name the address that the installation was made for: at another address none would be valid. */
function refuseAnotherAddress(data: string, publicUrl: string, told: boolean): void {
  const made = readInstallation(data).trust.public_url
  const local = new URL(made).hostname === 'localhost'
  if (made === publicUrl || (!told && !local)) return
  throw new ServiceError(
    'config_invalid',
    `BAILIWICK_PORT, BAILIWICK_PUBLIC_URL: the installation in ${data} is at ${made}, not at ${publicUrl}. Start it there, or give BAILIWICK_DATA another folder.`,
  )
}
