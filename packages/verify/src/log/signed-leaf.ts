import type { TopicName } from '@bailiwick/contracts'
import type { KeyRing } from '@bailiwick/credentials'
import type { ErrorCode } from '@bailiwick/errors'
import { type SignedEvent, signedEvent } from '@bailiwick/projection'
import { headerOf } from './leaf.ts'

/**
 * Reads an entry as a signed event of one of these topics; undefined if it is of another. The bus gives the key and the time of an event.
 * A log keeps neither, so the event's own are taken.
 */
export function signedLeaf(
  keyRing: KeyRing,
  bytes: Uint8Array,
  topics: readonly TopicName[],
): (SignedEvent & { topic: TopicName }) | ErrorCode | undefined {
  const header = headerOf(bytes)
  if (header === undefined || !topics.includes(header.topic)) return undefined
  const { topic, key, at } = header
  const read = signedEvent(keyRing, { topic, key, bytes, timestamp: at })
  return typeof read === 'string' ? read : { ...read, topic }
}
