import { lacks } from '@bailiwick/native'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { realKafka, realRedis } from './real-parts.ts'

afterEach(() => vi.unstubAllEnvs())

describe.skipIf(lacks('kafka', 'redis'))('real parts on a machine that has their programs', () => {
  it('are started where the environment names no part and no engine', async () => {
    for (const name of ['KAFKA_BROKERS', 'REDIS_URL', 'DOCKER_HOST']) vi.stubEnv(name, '')
    await using kafka = await realKafka()
    await using redis = await realRedis()
    expect(kafka.brokers).toEqual([expect.stringMatching(/^127\.0\.0\.1:\d+$/)])
    expect(kafka.nodes).toHaveLength(1)
    expect(redis.url).toMatch(/^redis:\/\/127\.0\.0\.1:\d+$/)
  })
})
