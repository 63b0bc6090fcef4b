import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { isInitialised, initialise, readInstallation, readPolicyFiles } from '@bailiwick/installation'
import { errorCode } from '@bailiwick/errors'
import { logger as makeLogger, metrics as makeMetrics, readConfig, systemClock, systemRandom, untilStopped } from '@bailiwick/service-kit'
import { configSchema } from './config.ts'
import { publishSampleRequest } from './sample-request.ts'
import { sampleEntities } from './sample.ts'
import { startStandalone } from './start.ts'
import { welcome } from './welcome.ts'

const repository = join(import.meta.dirname, '../../..')

try {
  const config = readConfig(configSchema, process.env)
  const data = config.BAILIWICK_DATA
  const logger = makeLogger({ service: 'standalone', level: config.BAILIWICK_LOG_LEVEL, destination: process.stderr })
  const first = !isInitialised(data)
  if (first)
    initialise({
      data,
      publicUrl: config.BAILIWICK_PUBLIC_URL ?? `http://localhost:${config.BAILIWICK_PORT}`,
      singleOperator: true,
      now: systemClock.now(),
      randomBytes,
      policies: readPolicyFiles(join(repository, 'policies')),
      entities: sampleEntities(data),
    })
  await using system = await startStandalone(config, {
    clock: systemClock,
    random: systemRandom,
    logger,
    metrics: makeMetrics({ service: 'standalone' }),
    onFatal: (error) => {
      logger.fatal({ error_code: errorCode(error), err: error }, 'stopping: the state is no longer known')
      process.exit(1)
    },
  })
  if (first) await publishSampleRequest(system.bus, data, readInstallation(data).trust, systemClock, systemRandom)
  console.log(welcome({ data, url: system.trust.public_url, trust: system.trust, enrolled: system.enrolled() }))
  await untilStopped(systemClock)
} catch (error) {
  console.error(error instanceof Error && 'detail' in error ? error.message : error)
  process.exitCode = 1
}
