import { type DecodedEvent, decodeEvent, type TopicName, topicNamed } from '@bailiwick/contracts'

/** A leaf with its decoded event. */
export interface TraceLeaf {
  index: number
  topic: TopicName
  event: DecodedEvent
  bytes: Uint8Array
  /** It lost its place to another writer's event, and has no effect. */
  void?: true
}

const dataSchema = /"dataschema":"urn:bailiwick:schema:([^":]+):[^"]+"/

/** Decodes a leaf. The signed event itself names its topic, in `dataschema`. Undefined for bytes that are not an event of ours. */
export function traceLeaf(index: number, bytes: Uint8Array): TraceLeaf | undefined {
  const name = dataSchema.exec(Buffer.from(bytes).toString())?.[1] ?? ''
  const topic = topicNamed(name)
  const decoded = topic && decodeEvent(topic, bytes)
  if (topic === undefined || !decoded?.ok) return undefined
  return { index, topic: name as TopicName, event: decoded.event as DecodedEvent, bytes }
}
