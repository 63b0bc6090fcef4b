import { readFileSync } from 'node:fs'
import { paths } from '@bailiwick/installation'
import { runService } from '@bailiwick/service-host'
import { sinksOf } from '@bailiwick/service-kit'
import { configSchema } from './config.ts'
import { startEvidence } from './start.ts'

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
        keys: {
          event: host.key('evidence', 'event', 'evidence-event'),
          log: readFileSync(paths(host.data).logKey, 'utf8'),
        },
      },
    ),
  complain: (line) => console.error(line),
})
