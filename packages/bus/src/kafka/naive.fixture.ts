import kafkajs, { type Admin, type Producer, type ProducerConfig, type RecordMetadata } from 'kafkajs'

/**
 * A producer as in kafkajs's documentation: no lanes, no check of the answer, no repeats. Its losses show that a fault is the one that the
 * adapter is built against (KAFKA.md §1.2); with the adapter alone a test could not tell.
 */
export async function naiveProducer(
  brokers: readonly string[],
  { requestTimeout, ...config }: ProducerConfig & { requestTimeout: number },
): Promise<Producer & AsyncDisposable> {
  const kafka = new kafkajs.Kafka({
    brokers: [...brokers],
    clientId: 'naive',
    logLevel: kafkajs.logLevel.NOTHING,
    requestTimeout,
    connectionTimeout: 1000,
  })
  const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner, ...config })
  await producer.connect()
  return Object.assign(producer, {
    // Its requests to a frozen broker end with their timeout, so do not wait for that.
    [Symbol.asyncDispose]: () =>
      Promise.race([producer.disconnect(), new Promise<void>((end) => setTimeout(end, 2000))]),
  })
}

/** The result of a send: the acknowledgements, or the refusal. */
export type Told = { acknowledged: RecordMetadata[] } | { refused: unknown }

export const told = (sending: Promise<RecordMetadata[]>): Promise<Told> =>
  sending.then(
    (acknowledged) => ({ acknowledged }),
    (refused: unknown) => ({ refused }),
  )

/** The broker that leads a partition, by its id. */
export async function leaderOf(admin: Admin, topic: string, partition: number): Promise<number> {
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
  const found = topics[0]?.partitions.find(({ partitionId }) => partitionId === partition)
  if (found === undefined) throw new Error(`no partition ${topic}/${partition}`)
  return found.leader
}
