import { sinksOf } from '@bailiwick/host'
import { runService } from '@bailiwick/host/process'
import { configSchema } from './config.ts'
import { evidenceKeys, startEvidence } from './start.ts'

process.exitCode = await runService({
  name: 'evidence',
  env: process.env,
  schema: configSchema,
  start: (config, host) =>
    startEvidence(
      {
        ...host.settings,
        logPublic: config.BAILIWICK_LOG_PUBLIC,
        witnessPolicy: config.BAILIWICK_WITNESS_POLICY,
        sinks: sinksOf(config),
      },
      {
        ...host,
        keys: evidenceKeys(host),
      },
    ),
  complain: (line) => console.error(line),
})
