import { embeddedBus } from '@bailiwick/bus/embedded'
import { paths } from '@bailiwick/installation'
import { embeddedOnly, runService, topicSettings } from '@bailiwick/service-host'
import { systemClock } from '@bailiwick/service-kit'
import { configSchema } from './config.ts'
import { startApproval } from './start.ts'

process.exitCode = await runService({
  name: 'approval',
  env: process.env,
  schema: configSchema,
  openBus: (config) => {
    embeddedOnly(config)
    return embeddedBus({ dir: paths(config.BAILIWICK_DATA).bus, ...topicSettings, now: () => systemClock.now() })
  },
  start: (config, host) =>
    startApproval(
      { ...host.settings, requestLifeSeconds: config.BAILIWICK_REQUEST_SECONDS },
      { ...host, keys: { event: host.key('approval', 'event', 'approval-event') } },
    ),
  complain: (line) => console.error(line),
})
