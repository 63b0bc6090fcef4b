import { type Env, metrics, untilStopped } from '@bailiwick/host'
import { runProcess } from '@bailiwick/host/process'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { configSchema } from './config.ts'
import { startPlain } from './start-plain.ts'

const name = 'policy-decision'

/** Runs a plain decision point until its stop signal. Resolves to the exit code. `complain` is as in `runService`. */
export function runPlain(env: Env, complain: (line: string) => void): Promise<number> {
  return runProcess({
    name,
    env,
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
    complain,
  })
}
