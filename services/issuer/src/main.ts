import { runService } from '@bailiwick/host/process'
import { readGenesis } from '@bailiwick/installation'
import { configSchema } from './config.ts'
import { restoredFrom } from './revocations/declare-restored.ts'
import { issuerKeys, startIssuer } from './start.ts'

process.exitCode = await runService({
  name: 'issuer',
  env: process.env,
  schema: configSchema,
  start: (config, host) =>
    startIssuer(
      {
        ...host.settings,
        credentialSeconds: config.BAILIWICK_CREDENTIAL_SECONDS,
        keyRotationDays: config.BAILIWICK_KEY_ROTATION_DAYS,
        agentCallsPerSecond: config.BAILIWICK_AGENT_CALLS_PER_SECOND,
      },
      {
        ...host,
        genesis: readGenesis(host.data),
        restored: restoredFrom(host.data),
        keys: issuerKeys(host),
      },
    ),
  complain: (line) => console.error(line),
})
