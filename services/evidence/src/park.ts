import type { Message } from '@bailiwick/bus'
import { type ParkedTopicName, topicNamed } from '@bailiwick/contracts'
import { sha256 } from '@bailiwick/credentials'
import type { ErrorCode } from '@bailiwick/errors'
import type { Producer } from '@bailiwick/projection'
import type { Refusal } from './judge-leaf.ts'

/** How a parked message is found again: the id under which the log mentions it. */
export const parkedId = ({ topic, partition, offset }: Pick<Message, 'topic' | 'partition' | 'offset'>): string =>
  `${topic}/${partition}/${offset}`

/**
 * Publishes what stands in the log for a message that cannot be a leaf: its place, hash, size and why; of a forged event,
 * or of one on a topic of evidence's own, a finding too. Nothing of its content, which anybody may have put there (V17):
 * not even its key.
 */
export async function park(message: Message, verdict: Refusal, producer: Pick<Producer, 'publish'>): Promise<void> {
  const { topic, partition, offset, bytes } = message
  const hash = sha256(bytes)
  const parkedTopic = `${topic}.parked`
  const parks = topicNamed(parkedTopic) !== undefined
  const code: ErrorCode = verdict.code
  if (parks) {
    await producer.publish(parkedTopic as ParkedTopicName, [
      {
        type: 'event.parked',
        subject: parkedId(message),
        key: `${topic}/${partition}`,
        data: { topic, partition, offset, sha256: hash, size: bytes.length, code },
      },
    ])
  }
  if (parks && verdict.kind === 'unreadable') return
  const eventId = verdict.kind === 'unsigned' ? verdict.eventId : parkedId(message)
  await tellRefused(message, { eventId, code }, producer)
}

/** Publishes the finding that this message cannot count, and why. */
export async function tellRefused(
  message: Message,
  { eventId, code }: { eventId: string; code: ErrorCode },
  producer: Pick<Producer, 'publish'>,
): Promise<void> {
  const { topic, partition, bytes } = message
  await producer.publish('findings.v1', [
    {
      type: 'event.refused',
      subject: parkedId(message),
      key: `${topic}/${partition}`,
      data: { topic, event_id: eventId, sha256: sha256(bytes), code },
    },
  ])
}
