import { readFileSync } from 'node:fs'
import { embeddedBus } from '@bailiwick/bus/embedded'
import { topicNamed } from '@bailiwick/contracts'
import { readKeyFile } from '@bailiwick/credentials'
import { errorCode, ServiceError } from '@bailiwick/errors'
import { keyFileNames, paths, readInstallation } from '@bailiwick/installation'
import {
  systemClock as clock,
  Health,
  httpServer,
  listenOperator,
  logger as makeLogger,
  metrics as makeMetrics,
  newId,
  systemRandom as random,
  readConfig,
  untilStopped,
} from '@bailiwick/service-kit'
import { configSchema } from './config.ts'
import { startEvidence } from './start.ts'

const dayMs = 24 * 3600 * 1000

try {
  const config = readConfig(configSchema, process.env)
  const { BAILIWICK_DATA: data, BAILIWICK_TLS: tlsSetting } = config
  if (config.BAILIWICK_BUS.kind !== 'embedded')
    throw new ServiceError('config_invalid', 'BAILIWICK_BUS: the Kafka adapter is not built yet; leave it unset')
  const { trust } = readInstallation(data)
  const at = paths(data)
  const logger = makeLogger({ service: 'evidence', level: config.BAILIWICK_LOG_LEVEL })
  const onFatal = (error: unknown) => {
    logger.fatal({ error_code: errorCode(error), err: error }, 'stopping: the state is no longer known')
    process.exit(1)
  }
  await using started = new AsyncDisposableStack()
  const bus = started.use(
    await embeddedBus({
      dir: at.bus,
      partitions: (name) => topicNamed(name)?.partitions ?? 1,
      retentionMs(name) {
        const cleanup = topicNamed(name)?.cleanup
        return typeof cleanup === 'object' ? cleanup.retentionDays * dayMs : undefined
      },
      inMemory: (name) => name === 'heads.v1',
      now: () => clock.now(),
    }),
  )
  const health = new Health()
  const metrics = makeMetrics({ service: 'evidence' })
  const tls =
    typeof tlsSetting === 'object'
      ? { certificate: readFileSync(tlsSetting.certificateFile), key: readFileSync(tlsSetting.keyFile) }
      : tlsSetting === 'terminated'
        ? tlsSetting
        : undefined
  const server = () => httpServer({ logger, clock, health, metrics, random, ...(tls === undefined ? {} : { tls }) })
  const http = await server()
  const operator = await server()
  started.use(
    await startEvidence(
      {
        instance: newId('evt', clock.now(), random).slice(4),
        publicUrl: config.BAILIWICK_PUBLIC_URL ?? `http://localhost:${config.BAILIWICK_PORT}`,
        maxStalenessMs: config.BAILIWICK_MAX_STALENESS,
        logPublic: config.BAILIWICK_LOG_PUBLIC,
      },
      {
        ...{ bus, trust, data, clock, random, logger, health, metrics, http, operator, onFatal },
        keys: {
          event: readKeyFile(at.keys('evidence'), keyFileNames['evidence-event'], 'evidence-event'),
          log: readFileSync(at.logKey, 'utf8'),
        },
      },
    ),
  )
  started.defer(async () => {
    await Promise.all([http.close(), operator.close()])
  })
  await http.listen({ host: config.BAILIWICK_HOST, port: config.BAILIWICK_PORT })
  await listenOperator(operator, at.operatorSocket)
  await untilStopped(clock)
} catch (error) {
  console.error(error instanceof Error && 'detail' in error ? error.message : error)
  process.exitCode = 1
}
