import { type DecodedEvent, decodeEvent, type TopicName, topicNamed } from '@bailiwick/contracts'

/** What an entry says of itself, before any of it is verified. */
export interface LeafHeader {
  topic: TopicName
  /** The event's key on its topic. */
  key: string
  /** ms since the epoch. */
  at: number
}

/** One entry of a log that reads as an event of its topic. Whether its signature is valid is another question. */
export interface Leaf<N extends TopicName = TopicName> {
  index: number
  topic: N
  event: DecodedEvent<N>
  bytes: Uint8Array
  /** ms since the epoch, as the event states it. */
  at: number
}

/**
 * The log does not store an entry's topic, but the entry's `dataschema` names it, and the key that signed the entry must be certified for
 * that topic. Undefined for bytes that name no topic of ours.
 */
export function headerOf(bytes: Uint8Array): LeafHeader | undefined {
  try {
    const event: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
    const { dataschema, partitionkey, time } = Object(event)
    const topic = /^urn:bailiwick:schema:([^:]+):/.exec(String(dataschema))?.[1] ?? ''
    if (topicNamed(topic) === undefined) return undefined
    return { topic: topic as TopicName, key: String(partitionkey), at: Date.parse(String(time)) }
  } catch {
    return undefined
  }
}

/** Reads an entry strictly as the event that it claims to be; otherwise returns the reason why it is not one. */
export function readLeaf(index: number, bytes: Uint8Array): Leaf | string {
  const topic = topicNamed(headerOf(bytes)?.topic ?? '')
  if (topic === undefined || !topic.leaf) return 'its dataschema names no topic whose events are leaves'
  const decoded = decodeEvent(topic, bytes)
  if (!decoded.ok) return `${decoded.code}: ${decoded.detail}`
  const event = decoded.event as DecodedEvent
  if (event.dataschema !== `urn:bailiwick:schema:${topic.name}:${event.type}`) return 'dataschema and type disagree'
  return { index, topic: topic.name as TopicName, event, bytes, at: Date.parse(event.time) }
}
