import { randomUUID } from 'node:crypto'
import { lacks, startKafka } from '@bailiwick/native'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { assertTopics, type KafkaAdmin, kafkaAdmin } from './admin.ts'
import type { TopicSpec } from './admin-topics.ts'
import { kafkaClient } from './client.ts'
import type { KafkaConnection } from './connection.ts'

describe.skipIf(lacks('kafka'))('the kafka admin', () => {
  let kafka: Awaited<ReturnType<typeof startKafka>>
  let connection: KafkaConnection
  let admin: KafkaAdmin

  beforeAll(async () => {
    kafka = await startKafka()
    connection = { brokers: kafka.brokers, clientId: 'admin-test' }
    admin = await kafkaAdmin(connection)
  })
  afterAll(async () => {
    await admin?.[Symbol.asyncDispose]()
    await kafka?.[Symbol.asyncDispose]()
  })

  const aTopic = (config: Record<string, string> = {}): TopicSpec => ({
    name: `topic-${randomUUID()}`,
    partitions: 3,
    replication: 1,
    config: { 'min.insync.replicas': '1', 'cleanup.policy': 'delete', 'retention.ms': '86400000', ...config },
  })

  it('makes the topics that are missing, and finds them as declared from then on', async () => {
    const specs = [aTopic(), aTopic({ 'cleanup.policy': 'compact', 'retention.ms': '-1' })]
    expect(await admin.checkTopics(specs)).toEqual(
      specs.map(({ name }) => `${name}: is missing, or this user may not see it`),
    )
    const applied = await admin.applyTopics(specs)
    expect(applied).toEqual({ created: specs.map(({ name }) => name), altered: [], differences: [] })
    expect(await admin.checkTopics(specs)).toEqual([])
    expect(await admin.applyTopics(specs)).toEqual({ created: [], altered: [], differences: [] })
  })

  it('changes the settings that differ, and keeps the other settings that an operator made on the topic', async () => {
    const before = aTopic({ 'compression.type': 'zstd' })
    await admin.applyTopics([before])
    const { 'compression.type': _, ...config } = before.config
    const after = { ...before, config: { ...config, 'retention.ms': '172800000' } }
    expect(await admin.checkTopics([after])).toEqual([`${after.name}: retention.ms is 86400000, not 172800000`])
    expect(await admin.applyTopics([after])).toEqual({ created: [], altered: [after.name], differences: [] })
    const kept = { ...after, config: { ...after.config, 'compression.type': 'zstd' } }
    expect(await admin.checkTopics([kept])).toEqual([])
  })

  it('never adds partitions: it says that they differ', async () => {
    const spec = aTopic()
    await admin.applyTopics([spec])
    const wider = { ...spec, partitions: 6 }
    const said = [`${spec.name}: the number of partitions is 3, not 6`]
    expect(await admin.applyTopics([wider])).toEqual({ created: [], altered: [], differences: said })
    expect(await admin.checkTopics([spec])).toEqual([])
  })

  it('two that apply at once both succeed', async () => {
    const specs = [aTopic(), aTopic()]
    await using other = await kafkaAdmin(connection)
    const applied = await Promise.all([admin.applyTopics(specs), other.applyTopics(specs)])
    for (const { differences } of applied) expect(differences).toEqual([])
  })

  it('refuses a start on topics that are not as declared, and names every difference', async () => {
    const [there, missing] = [aTopic(), aTopic()]
    await admin.applyTopics([there])
    await assertTopics(connection, [there])
    const wanted = { ...there, replication: 3, config: { ...there.config, 'min.insync.replicas': '2' } }
    await expect(assertTopics(connection, [wanted, missing])).rejects.toMatchObject({
      code: 'config_invalid',
      detail: [
        'Kafka is not as declared:',
        `  ${there.name}: replication is 1, not 3 or more`,
        `  ${there.name}: min.insync.replicas is 1, not 2 or more`,
        `  ${missing.name}: is missing, or this user may not see it`,
      ].join('\n'),
    })
  })

  it('makes topics that can be written to at once', async () => {
    const spec = aTopic()
    await admin.applyTopics([spec])
    // A broker that lags shows a leader a moment before that leader knows.
    const producer = kafkaClient(connection, () => {}).producer({ retry: { retries: 3 } })
    await producer.connect()
    try {
      const messages = [0, 1, 2].map((partition) => ({ partition, value: 'x' }))
      expect(await producer.send({ topic: spec.name, acks: -1, messages })).toHaveLength(3)
    } finally {
      await producer.disconnect()
    }
  })

  it('says so where the broker knows no access rules', async () => {
    await expect(admin.checkAcls([])).rejects.toMatchObject({ code: 'config_invalid' })
  })

  it('says so where no broker answers', async () => {
    const nowhere = { brokers: ['127.0.0.1:1'], clientId: 'admin-test' }
    await expect(kafkaAdmin(nowhere)).rejects.toMatchObject({ code: 'bus_unavailable' })
  })
})
