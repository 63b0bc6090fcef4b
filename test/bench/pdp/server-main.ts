import { createServer } from 'node:http'
import { embeddedBus } from '@bailiwick/bus/embedded'
import { embeddedGrantStore } from '@bailiwick/grant-store/embedded'
import { logger as makeLogger, metrics, readConfig } from '@bailiwick/host'
import { openHost, topicSettings } from '@bailiwick/host/process'
import { paths, readGenesis } from '@bailiwick/installation'
import { issuerKeys, restoredFrom, startIssuer } from '@bailiwick/issuer/start'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { policyDecisionKeys, startPolicyDecision } from '@bailiwick/policy-decision/start'
import { configSchema } from '@bailiwick/standalone/config'
import { recordInMemory } from '../in-memory-record.ts'

// The server of a measure: `echo`, or `decide` with `evidence` or without. It runs until it is killed.

const [what, recorded] = process.argv.slice(2)
if (what === 'echo') echo()
else await decide(recorded === 'evidence')

/** The least work that answers JSON with JSON. */
function echo(): void {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = JSON.stringify(chunks.length === 0 ? {} : JSON.parse(Buffer.concat(chunks).toString()))
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
      response.end(body)
    })
  })
  server.listen(Number(process.env.BAILIWICK_PORT), '127.0.0.1')
}

/** policy-decision as it runs, and the issuer, whose heads prove its state fresh. */
async function decide(evidence: boolean): Promise<void> {
  const config = readConfig(configSchema, process.env)
  const data = config.BAILIWICK_DATA
  const now = () => systemClock.now()
  const host = await openHost({
    config,
    socket: paths(data).operatorSocket,
    openBus: () => embeddedBus({ dir: paths(data).bus, ...topicSettings, now }),
    clock: systemClock,
    random: systemRandom,
    logger: makeLogger({ service: 'bench', level: config.BAILIWICK_LOG_LEVEL }),
    metrics: metrics({ service: 'bench', processMetrics: false }),
    onFatal: (error) => queueMicrotask(() => Promise.reject(error)),
  })
  await startIssuer(
    {
      ...host.settings,
      credentialSeconds: config.BAILIWICK_CREDENTIAL_SECONDS,
      keyRotationDays: config.BAILIWICK_KEY_ROTATION_DAYS,
      agentCallsPerSecond: config.BAILIWICK_AGENT_CALLS_PER_SECOND,
    },
    {
      ...host,
      genesis: readGenesis(data),
      restored: restoredFrom(data),
      keys: issuerKeys(host),
    },
  )
  const memory = recordInMemory()
  const { pdp } = await startPolicyDecision(
    {
      ...host.settings,
      decisionDeadlineMs: config.BAILIWICK_DECISION_DEADLINE,
      // The limits for one agent are not measured here.
      ...{ agentDecisionsPerMinute: 10_000_000, grantDecisionsPerMinute: 10_000_000 },
    },
    {
      ...host,
      grantStore: embeddedGrantStore({ dir: paths(data).grants, now }),
      keys: policyDecisionKeys(host),
      ...(evidence ? {} : { wrapRecord: memory.wrapRecord }),
    },
  )
  memory.ledger = pdp.projection.ledger
  await host.listen()
}
