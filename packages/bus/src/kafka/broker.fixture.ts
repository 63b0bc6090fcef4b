import { startKafka } from '@bailiwick/native'
import type kafkajs from 'kafkajs'
import type { TopicSpec } from '../bus.contract.ts'
import { kafkaClient } from './client.ts'
import type { BusLogger, KafkaConnection } from './connection.ts'

export const silent: BusLogger = { debug() {}, info() {}, warn() {}, error() {} }

export interface BrokerUnderTest extends AsyncDisposable {
  brokers: string[]
}

/** The brokers in `KAFKA_BROKERS` if set, else a broker of our own. */
export async function aBroker(named: string | undefined): Promise<BrokerUnderTest> {
  if (named) return { brokers: named.split(','), async [Symbol.asyncDispose]() {} }
  return await startKafka({ nodes: 1 })
}

/** Makes topics as in production, with the given number of copies, and waits until each partition has a leader. */
export async function makeTopics(
  connection: KafkaConnection,
  topics: readonly TopicSpec[],
  { copies = 1, config = {} }: { copies?: number; config?: Record<string, string> } = {},
): Promise<void> {
  await withAdmin(connection, async (admin) => {
    const entries = Object.entries({ 'message.timestamp.type': 'LogAppendTime', ...config })
    await admin.createTopics({
      waitForLeaders: false,
      topics: topics.map(({ name, partitions }) => ({
        topic: name,
        numPartitions: partitions,
        replicationFactor: copies,
        configEntries: entries.map(([key, value]) => ({ name: key, value })),
      })),
    })
  })
}

export async function removeTopics(connection: KafkaConnection, topics: readonly TopicSpec[]): Promise<void> {
  await withAdmin(connection, (admin) => admin.deleteTopics({ topics: topics.map(({ name }) => name) }))
}

export async function withAdmin<T>(
  connection: KafkaConnection,
  work: (admin: kafkajs.Admin) => Promise<T>,
): Promise<T> {
  const admin = kafkaClient(connection, () => {}).admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}
