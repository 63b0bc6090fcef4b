import { embeddedBus } from '@bailiwick/bus/embedded'
import { paths, readGenesis } from '@bailiwick/installation'
import { embeddedOnly, runService, topicSettings } from '@bailiwick/service-host'
import { systemClock } from '@bailiwick/service-kit'
import { configSchema } from './config.ts'
import { startIssuer } from './start.ts'

process.exitCode = await runService({
  name: 'issuer',
  env: process.env,
  schema: configSchema,
  openBus: (config) => {
    embeddedOnly(config)
    return embeddedBus({ dir: paths(config.BAILIWICK_DATA).bus, ...topicSettings, now: () => systemClock.now() })
  },
  start: (config, host) =>
    startIssuer(
      { ...host.settings, credentialSeconds: config.BAILIWICK_CREDENTIAL_SECONDS },
      {
        ...host,
        genesis: readGenesis(host.data),
        keys: {
          event: host.key('issuer', 'event', 'issuer-event'),
          credential: host.key('issuer', 'credential', 'credential'),
        },
      },
    ),
  complain: (line) => console.error(line),
})
