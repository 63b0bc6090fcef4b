import { openGrantStore, type Process, runService } from '@bailiwick/host/process'
import type { z } from 'zod'
import { configSchema } from './config.ts'
import { policyDecisionKeys, startPolicyDecision } from './start.ts'

const complain = (line: string) => console.error(line)
const service: Process<z.output<typeof configSchema>> = {
  name: 'policy-decision',
  env: process.env,
  schema: configSchema,
  async start(config, host) {
    await using started = new AsyncDisposableStack()
    const grantStore = started.use(await openGrantStore(config, host))
    started.use(
      await startPolicyDecision(
        {
          ...host.settings,
          decisionDeadlineMs: config.BAILIWICK_DECISION_DEADLINE,
          keepCalls: config.BAILIWICK_KEEP_CALLS,
          compareOneIn: config.BAILIWICK_COMPARE_ONE_IN,
          agentDecisionsPerMinute: config.BAILIWICK_DECISIONS_PER_MINUTE_AGENT,
          grantDecisionsPerMinute: config.BAILIWICK_DECISIONS_PER_MINUTE_GRANT,
        },
        {
          ...host,
          grantStore,
          keys: policyDecisionKeys(host),
        },
      ),
    )
    return started.move()
  },
  complain,
}

if (process.argv.includes('--plain')) {
  complain('config_invalid: a decision point by policies alone is a service of its own: services/plain-pdp/src/main.ts')
  process.exitCode = 1
} else process.exitCode = await runService(service)
