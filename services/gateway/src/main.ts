import { metrics, runProcess, untilStopped } from '@bailiwick/host'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { openSecrets } from '@bailiwick/relay'
import { configSchema } from './config.ts'
import { startGateway } from './start.ts'

process.exitCode = await runProcess({
  name: 'gateway',
  env: process.env,
  schema: configSchema,
  async run(config, logger, stopping) {
    // A terminal that is closed sends this signal too, and then the gateway must end.
    const isAlone = !process.stdin.isTTY
    let reload = () => {}
    if (isAlone) process.on('SIGHUP', () => reload())
    await using gateway = await startGateway(config, {
      clock: systemClock,
      random: systemRandom,
      logger,
      metrics: metrics({ service: 'gateway' }),
      env: process.env,
      secrets: openSecrets({ env: process.env }),
    })
    reload = () => void gateway.reload()
    const stopped = untilStopped(systemClock, {
      ...(isAlone ? { signals: ['SIGINT', 'SIGTERM'] } : {}),
      impatient: (signal) => logger.warn({ signal }, 'stopping at once: a second signal'),
    })
    logger.info({ url: gateway.url }, 'ready')
    const signal = await stopped
    stopping()
    logger.info({ signal }, 'stopping')
  },
  complain: console.error,
})
