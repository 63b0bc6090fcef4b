import { readFileSync } from 'node:fs'
import { embeddedBus } from '@bailiwick/bus/embedded'
import { paths } from '@bailiwick/installation'
import { embeddedOnly, runService, topicSettings } from '@bailiwick/service-host'
import { systemClock } from '@bailiwick/service-kit'
import { configSchema } from './config.ts'
import { startEvidence } from './start.ts'

process.exitCode = await runService({
  name: 'evidence',
  env: process.env,
  schema: configSchema,
  openBus: (config) => {
    embeddedOnly(config)
    return embeddedBus({ dir: paths(config.BAILIWICK_DATA).bus, ...topicSettings, now: () => systemClock.now() })
  },
  start: (config, host) =>
    startEvidence(
      { ...host.settings, logPublic: config.BAILIWICK_LOG_PUBLIC },
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
