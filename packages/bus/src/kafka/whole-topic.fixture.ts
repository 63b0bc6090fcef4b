import { Buffer } from 'node:buffer'
import type { Bus, Message } from '../bus.ts'
import { silent, withAdmin } from './broker.fixture.ts'
import type { KafkaConnection } from './connection.ts'
import { kafkaBus } from './kafka-bus.ts'

/**
 * Everything in a topic, by a reader that knows nothing about its writers. Throws if it got a different number of messages than the broker
 * says exist: an audit that overlooks messages would find no losses.
 */
export async function wholeTopic(connection: KafkaConnection, topic: string): Promise<Message[]> {
  await using bus: Bus = await kafkaBus({ connection, logger: silent })
  const all: Message[] = []
  await using follower = await bus.follow([topic], 'start', async (batch) => {
    all.push(...batch)
  })
  await Promise.race([follower.caughtUp, follower.failed])
  const offsets = await withAdmin(connection, (admin) => admin.fetchTopicOffsets(topic))
  const count = offsets.reduce((sum, { low, high }) => sum + Number(high) - Number(low), 0)
  if (all.length !== count) throw new Error(`read ${all.length} of ${count} messages of ${topic}`)
  return all
}

export const textOf = ({ bytes }: Message): string => Buffer.from(bytes).toString()
