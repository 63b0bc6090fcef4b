import type { Message } from '@bailiwick/bus'
import { type ParkedTopicName, topicNamed } from '@bailiwick/contracts'
import { sha256 } from '@bailiwick/credentials'
import type { ErrorCode } from '@bailiwick/errors'
import type { Producer } from '@bailiwick/instance'
import type { Refusal } from './judge-leaf.ts'

/** The id under which the log mentions a parked message, so that it can be found again. */
export const parkedId = ({ topic, partition, offset }: Pick<Message, 'topic' | 'partition' | 'offset'>): string =>
  `${topic}/${partition}/${offset}`

/**
 * Publishes the event that stands in the log for a message that cannot be a leaf: its place, hash, size and the reason. For a forged event,
 * or one on a topic of evidence's own, it publishes a finding too. Neither holds any of the message's content, not even its key: anyone may
 * have written it (V17).
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

/** Publishes the finding that this message cannot count, with the reason. */
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
