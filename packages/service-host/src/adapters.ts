import { readFileSync } from 'node:fs'
import type { Bus } from '@bailiwick/bus'
import { embeddedBus } from '@bailiwick/bus/embedded'
import { kafkaTopics, services, topicsOf } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import type { GrantStore } from '@bailiwick/grant-store'
import { embeddedGrantStore } from '@bailiwick/grant-store/embedded'
import { paths } from '@bailiwick/installation'
import { type Logger, systemClock } from '@bailiwick/service-kit'
import type { CommonConfig, Host, Watched } from './open-host.ts'
import { topicSettings } from './topic-settings.ts'

// The clients of Kafka and Redis are loaded only where they are chosen: the embedded default does not wait for them.

const now = () => systemClock.now()

/**
 * The bus that the settings choose, for a service or for `standalone`. On Kafka its topics are checked first (DESIGN §5).
 * Throws `config_invalid` naming the setting, or each topic that is not as declared.
 */
export async function openBus(config: CommonConfig, service: string, logger: Logger): Promise<Watched<Bus>> {
  const { BAILIWICK_BUS: chosen, BAILIWICK_DATA: data, BAILIWICK_DEV: dev } = config
  if (chosen.kind === 'embedded') return embeddedBus({ dir: paths(data).bus, ...topicSettings, now })
  const { assertTopics, kafkaBus, kafkaConnection } = await import('@bailiwick/bus/kafka')
  const connection = kafkaConnection(chosen.brokers, config, { clientId: `bailiwick-${service}`, user: service })
  const one = services.find((name) => name === service)
  const mine = one && topicsOf(one)
  await assertTopics(
    connection,
    kafkaTopics({ dev }).filter(({ name }) => mine?.includes(name) ?? true),
  )
  return kafkaBus({ connection, logger })
}

/** The grant store that the settings choose, of this installation. Throws `config_invalid` naming the setting. */
export async function openGrantStore(
  config: CommonConfig,
  { trust, logger }: Pick<Host, 'trust' | 'logger'>,
): Promise<Watched<GrantStore>> {
  const redis = redisOptions(config)
  if (redis === undefined) return embeddedGrantStore({ dir: paths(config.BAILIWICK_DATA).grants, now })
  const { redisGrantStore } = await import('@bailiwick/grant-store/redis')
  return redisGrantStore({ ...redis, namespace: trust.installation, logger })
}

/** Refuses (`config_invalid`) settings of adapters that cannot work, without asking anybody whether they do. */
export async function assertAdapterSettings(config: CommonConfig, service: string): Promise<void> {
  redisOptions(config)
  const { BAILIWICK_BUS: bus } = config
  if (bus.kind === 'embedded') return
  const { kafkaConnection } = await import('@bailiwick/bus/kafka')
  kafkaConnection(bus.brokers, config, { clientId: `bailiwick-${service}`, user: service })
}

/** undefined where the store is embedded. */
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
