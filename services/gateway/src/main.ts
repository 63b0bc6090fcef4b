import { metrics, untilStopped } from '@bailiwick/host'
import { runProcess } from '@bailiwick/host/process'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { openSecrets } from '@bailiwick/relay'
import { configSchema } from './config.ts'
import { startGateway } from './start.ts'

process.exitCode = await runProcess({
  name: 'gateway',
  env: process.env,
  schema: configSchema,
  async run(config, logger, stopping) {
    await using gateway = await startGateway(config, {
      clock: systemClock,
      random: systemRandom,
      logger,
      metrics: metrics({ service: 'gateway' }),
      env: process.env,
      secrets: openSecrets({ env: process.env }),
    })
    const stopped = untilStopped(systemClock, {
      impatient: (signal) => logger.warn({ signal }, 'stopping at once: a second signal'),
    })
    logger.info({ url: gateway.url }, 'ready')
    const signal = await stopped
    stopping()
    logger.info({ signal }, 'stopping')
  },
  complain: console.error,
})
