import { embeddedBus } from '@bailiwick/bus/embedded'
import { embeddedGrantStore } from '@bailiwick/grant-store/embedded'
import { paths } from '@bailiwick/installation'
import { embeddedOnly, runService, topicSettings } from '@bailiwick/service-host'
import { systemClock } from '@bailiwick/service-kit'
import { configSchema } from './config.ts'
import { startPolicyDecision } from './start.ts'

const now = () => systemClock.now()

process.exitCode = await runService({
  name: 'policy-decision',
  env: process.env,
  schema: configSchema,
  openBus: (config) => {
    embeddedOnly(config)
    return embeddedBus({ dir: paths(config.BAILIWICK_DATA).bus, ...topicSettings, now })
  },
  async start(_config, host) {
    await using started = new AsyncDisposableStack()
    const grantStore = started.use(embeddedGrantStore({ dir: paths(host.data).grants, now }))
    started.use(
      await startPolicyDecision(host.settings, {
        ...host,
        grantStore,
        keys: {
          event: host.key('policy-decision', 'event', 'pdp-event'),
          permit: host.key('policy-decision', 'permit', 'permit'),
        },
      }),
    )
    return started.move()
  },
  complain: (line) => console.error(line),
})
