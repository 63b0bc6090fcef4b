import { expect, it } from 'vitest'
import { allTopics } from './admin.ts'

it('takes what kafkajs trips over for a topic that has no leader yet, and nothing else', async () => {
  // kafkajs 2.2.4's `fetchTopicMetadata` fails in this way on the null that its cluster gives when every broker refused.
  const tripped = async () => (null as unknown as { topicMetadata: [] }).topicMetadata
  const asAdmin = (ask: () => Promise<unknown>) => ({ fetchTopicMetadata: ask }) as Parameters<typeof allTopics>[0]
  await expect(allTopics(asAdmin(tripped))).rejects.toMatchObject({ type: 'LEADER_NOT_AVAILABLE' })
  const broken = new TypeError('something else')
  await expect(allTopics(asAdmin(() => Promise.reject(broken)))).rejects.toBe(broken)
})
