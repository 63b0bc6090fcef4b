import { Buffer } from 'node:buffer'
import type { Bus, Message } from '../bus.ts'
import { silent, withAdmin } from './broker.fixture.ts'
import type { KafkaConnection } from './connection.ts'
import { kafkaBus } from './kafka-bus.ts'

/**
 * Everything that is in a topic, by a reader that knows nothing of who wrote it. Throws when it got another number of
 * messages than the broker says that there are: an audit that overlooks messages finds nothing lost.
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
