import { metrics, runProcess, untilStopped } from '@bailiwick/host'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { configSchema } from './config.ts'
import { startPlain } from './start.ts'

/** Logs and metrics name it as they name a decision point with grants: dashboards and alerts hold for both. */
const name = 'policy-decision'

process.exitCode = await runProcess({
  name,
  env: process.env,
  schema: configSchema,
  async run(config, logger, stopping) {
    const measured = metrics({ service: name })
    await using plain = await startPlain(config, {
      logger,
      clock: systemClock,
      random: systemRandom,
      metrics: measured,
    })
    const stopped = untilStopped(systemClock, {
      impatient: (signal) => logger.warn({ signal }, 'stopping at once: a second signal'),
    })
    logger.info({ url: plain.url, policy_set: plain.policies.current().hash }, 'ready')
    const signal = await stopped
    stopping()
    logger.info({ signal }, 'stopping')
  },
  complain: (line) => console.error(line),
})
