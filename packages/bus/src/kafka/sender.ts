import type { Kafka, RecordMetadata } from 'kafkajs'
import { settings } from './client.ts'
import type { Sender } from './lane.ts'

/** Stops a discarded producer between two of its attempts: kafkajs does not retry an error that is not retriable. */
class Discarded extends Error {
  readonly retriable = false
}

/**
 * Opens an idempotent producer for one partition (KAFKA.md rules 1 to 3). Rejects if the broker does not answer within
 * kafkajs's timeouts, or refuses. kafkajs looks up every message's partition before each attempt. There a discarded producer
 * is stopped. Otherwise it would go on, and could write its batch long after later batches.
 */
export async function openSender(kafka: Kafka, topic: string, partition: number): Promise<Sender> {
  let discarded = false
  let underWay: Promise<unknown> = Promise.resolve()
  const producer = kafka.producer({
    idempotent: true,
    allowAutoTopicCreation: false, // rule 18
    metadataMaxAge: settings.metadataMaxAge,
    retry: settings.sendRetry,
    createPartitioner: () => () => {
      if (discarded) throw new Discarded('the producer was thrown away')
      return partition
    },
  })
  const disconnect = () => producer.disconnect().catch(() => {})
  try {
    await producer.connect()
  } catch (error) {
    void disconnect()
    throw error
  }
  return {
    async send(batch) {
      const messages = batch.map(({ key, value }) => ({ key, value, partition }))
      const sending = producer.send({ topic, messages, acks: -1, timeout: settings.requestTimeout })
      underWay = sending.catch(() => {})
      return baseOffset(await sending, topic, partition)
    },
    discard() {
      discarded = true
      // Repeated: an attempt that was in progress may have connected again.
      void disconnect()
        .then(() => underWay)
        .then(disconnect)
    },
    close: disconnect,
  }
}

/**
 * The offset at which the batch begins. An answer that does not name the partition acknowledges nothing. kafkajs gives such an answer for
 * a partition that does not exist or whose leader died (repro A).
 */
export function baseOffset(answer: readonly RecordMetadata[], topic: string, partition: number): number {
  const named = answer.filter((one) => one.topicName === topic && one.partition === partition)
  const offset = named.length === 1 && named[0]?.errorCode === 0 ? Number(named[0].baseOffset ?? -1) : -1
  if (!Number.isSafeInteger(offset) || offset < 0) throw new Error('the answer does not acknowledge the partition')
  return offset
}
