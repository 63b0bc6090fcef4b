import { existsSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { missingParts, realKafka, realRedis } from './real-parts.ts'

beforeEach(() => {
  // A machine without an engine and without programs: only what the test names is found.
  for (const name of ['DOCKER_HOST', 'HOME', 'XDG_RUNTIME_DIR', 'JAVA_HOME', 'KAFKA_BROKERS', 'REDIS_URL'])
    vi.stubEnv(name, '')
  vi.stubEnv('PATH', '/nowhere')
})
afterEach(() => vi.unstubAllEnvs())

describe('real parts', () => {
  it('are those that the environment names, before any other, and are left running afterwards', async () => {
    vi.stubEnv('KAFKA_BROKERS', 'one:9092, two:9092,')
    vi.stubEnv('REDIS_URL', 'redis://there:6379')
    await using kafka = await realKafka()
    await using redis = await realRedis()
    expect(kafka.brokers).toEqual(['one:9092', 'two:9092'])
    expect(kafka.nodes).toBeUndefined()
    expect(redis.url).toBe('redis://there:6379')
    expect(await missingParts('kafka', 'redis')).toEqual([])
  })

  it('are started for tests that kill them or log in to them, even if the environment names others', async () => {
    vi.stubEnv('KAFKA_BROKERS', 'one:9092')
    vi.stubEnv('REDIS_URL', 'redis://there:6379')
    await expect(realKafka({ nodes: 3 })).rejects.toThrow(/service_unready: java is missing/)
    await expect(realRedis({})).rejects.toThrow(/service_unready: redis-server is missing/)
    expect((await missingParts('secure-kafka')).map((line) => line.split(':')[0])).toEqual(['java', 'mvn', 'openssl'])
  })

  it('that are not available are named, with what to install', async () => {
    await expect(realKafka()).rejects.toThrow(/java is missing. Install Java 17/)
    await expect(realRedis()).rejects.toThrow(/redis-server is missing. Install Redis 7/)
    expect(await missingParts('redis')).toEqual([
      expect.stringMatching(/^redis-server: /),
      expect.stringMatching(/^redis-cli: /),
    ])
  })

  it.skipIf(existsSync('/var/run/docker.sock'))('are not sought in an engine that does not answer', async () => {
    vi.stubEnv('DOCKER_HOST', 'tcp://127.0.0.1:1')
    await expect(realRedis()).rejects.toThrow(/redis-server is missing/)
  })
})
