import { readFileSync } from 'node:fs'
import type { Bus } from '@bailiwick/bus'
import { embeddedBus } from '@bailiwick/bus/embedded'
import { kafkaTopics, services, topicsOf } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import type { GrantStore } from '@bailiwick/grant-store'
import { embeddedGrantStore } from '@bailiwick/grant-store/embedded'
import { paths } from '@bailiwick/installation'
import { systemClock } from '@bailiwick/kit'
import type { Logger } from '../observe/logger.ts'
import { type OnWait, onceItAnswers } from './once-it-answers.ts'
import type { CommonConfig, Host, Watched } from './open-host.ts'
import { topicSettings } from './topic-settings.ts'

// The clients of Kafka and Redis are loaded only where they are chosen: the embedded default does not wait for them.

const now = () => systemClock.now()

/**
 * The bus that the settings choose, for a service or for `standalone`. On Kafka its topics are checked first (DESIGN §5), once a broker
 * answers. A start waits for that, and reports it to `onWait`. Throws `config_invalid`, naming the setting or each topic that is not
 * as declared.
 */
export async function openBus(
  config: CommonConfig,
  service: string,
  logger: Logger,
  onWait: OnWait = () => undefined,
): Promise<Watched<Bus>> {
  const { BAILIWICK_BUS: chosen, BAILIWICK_DATA: data, BAILIWICK_DEV: dev } = config
  if (chosen.kind === 'embedded') return embeddedBus({ dir: paths(data).bus, ...topicSettings, now })
  const { assertTopics, kafkaBus, kafkaConnection } = await import('@bailiwick/bus/kafka')
  const connection = kafkaConnection(chosen.brokers, config, { clientId: `bailiwick-${service}`, user: service })
  const one = services.find((name) => name === service)
  const mine = one && topicsOf(one)
  const specs = kafkaTopics({ dev }).filter(({ name }) => mine?.includes(name) ?? true)
  const monotonic = () => systemClock.monotonic()
  await onceItAnswers(() => assertTopics(connection, specs), { logger, onWait, monotonic })
  return kafkaBus({ connection, logger })
}

/** Processes that open a grant store; the others ignore the setting. */
const usesGrantStore: ReadonlySet<string> = new Set(['policy-decision', 'standalone'])

/**
 * Refuses a grant store that belongs to this process only on a bus that other processes share. The log would still count each proof and
 * each unit once (V9, V10). But the log alone would settle every race between decision points, and only it would remember proofs.
 */
function assertStoreShared({
  BAILIWICK_BUS: bus,
  BAILIWICK_GRANT_STORE: store,
  BAILIWICK_DEV: dev,
}: CommonConfig): void {
  if (bus.kind === 'embedded' || store.kind !== 'embedded' || dev) return
  throw new ServiceError(
    'config_invalid',
    'BAILIWICK_GRANT_STORE: on Kafka decision points share one: rediss://host:port, unless BAILIWICK_DEV=1',
  )
}

/** The grant store that the settings choose, for this installation. Throws `config_invalid`, naming the setting. */
export async function openGrantStore(
  config: CommonConfig,
  { trust, logger }: Pick<Host, 'trust' | 'logger'>,
): Promise<Watched<GrantStore>> {
  assertStoreShared(config)
  const redis = redisOptions(config)
  if (redis === undefined) return embeddedGrantStore({ dir: paths(config.BAILIWICK_DATA).grants, now })
  const { redisGrantStore } = await import('@bailiwick/grant-store/redis')
  const monotonic = () => systemClock.monotonic()
  return redisGrantStore({ ...redis, namespace: trust.installation, logger, monotonic })
}

/** Refuses (`config_invalid`) adapter settings that cannot work, without contacting any server. */
export async function assertAdapterSettings(config: CommonConfig, service: string): Promise<void> {
  redisOptions(config)
  if (usesGrantStore.has(service)) assertStoreShared(config)
  const { BAILIWICK_BUS: bus } = config
  if (bus.kind === 'embedded') return
  const { kafkaConnection } = await import('@bailiwick/bus/kafka')
  kafkaConnection(bus.brokers, config, { clientId: `bailiwick-${service}`, user: service })
}

/** undefined if the store is embedded. */
function redisOptions(config: CommonConfig): { url: string; tls?: { ca: string } } | undefined {
  const { BAILIWICK_GRANT_STORE: chosen, BAILIWICK_DEV: dev, BAILIWICK_REDIS_CA: ca } = config
  if (chosen.kind === 'embedded') return undefined
  if (!chosen.url.startsWith('rediss:') && !dev)
    throw new ServiceError('config_invalid', 'BAILIWICK_GRANT_STORE: rediss://host:port, unless BAILIWICK_DEV=1')
  return { url: chosen.url, ...(ca === undefined ? {} : { tls: { ca: readAuthorities(ca) } }) }
}

function readAuthorities(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    throw new ServiceError('config_invalid', `BAILIWICK_REDIS_CA: ${file} cannot be read`)
  }
}
