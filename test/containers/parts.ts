import { connectKafka, startKafka, startRedis } from '@bailiwick/native'
import { realKafka, realRedis } from '@bailiwick/testkit'
import { expect } from 'vitest'

/** As tests ask for Kafka and Redis: shared ones by Testcontainers, ones of their own from images. */
export async function usePartsInContainers(): Promise<void> {
  await using kafka = await realKafka()
  // A broker that only starts refuses this, though the engine's port is open.
  using client = await connectKafka(kafka.brokers[0] ?? '')
  expect(await client.brokers()).toEqual([1])
  await using redis = await realRedis()
  expect(redis.url).toMatch(/^redis:/)

  await using own = await startRedis()
  await own.cli('SET', 'kept', 'yes')
  await own.cli('SAVE')
  await own.kill('SIGSTOP')
  await own.kill('SIGCONT')
  await own.kill('SIGKILL')
  await own.start()
  expect(await own.cli('GET', 'kept')).toBe('yes')
  await using cluster = await startKafka()
  const [node] = cluster.nodes
  await node?.kill('SIGKILL')
  await node?.start()
  await cluster.ready()
}
