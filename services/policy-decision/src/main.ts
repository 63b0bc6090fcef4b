import { openGrantStore, runService } from '@bailiwick/service-host'
import { configSchema } from './config.ts'
import { startPolicyDecision } from './start.ts'

process.exitCode = await runService({
  name: 'policy-decision',
  env: process.env,
  schema: configSchema,
  async start(config, host) {
    await using started = new AsyncDisposableStack()
    const grantStore = started.use(await openGrantStore(config, host))
    started.use(
      await startPolicyDecision(
        { ...host.settings, decisionDeadlineMs: config.BAILIWICK_DECISION_DEADLINE },
        {
          ...host,
          grantStore,
          keys: {
            event: host.key('policy-decision', 'event', 'pdp-event'),
            permit: host.key('policy-decision', 'permit', 'permit'),
            bindingToken: host.key('policy-decision', 'binding-token', 'binding-token'),
          },
        },
      ),
    )
    return started.move()
  },
  complain: (line) => console.error(line),
})
