import { type DecodedEvent, decodeEvent, type TopicName, topicNamed } from '@bailiwick/contracts'

/** A leaf, read as the event that it is. */
export interface TraceLeaf {
  index: number
  topic: TopicName
  event: DecodedEvent
  bytes: Uint8Array
  /** It lost its place to another writer's, and has no effect. */
  void?: true
}

const dataSchema = /"dataschema":"urn:bailiwick:schema:([^":]+):[^"]+"/

/** The topic stands in the signed event itself, in `dataschema`; undefined for bytes that are no event of ours. */
export function traceLeaf(index: number, bytes: Uint8Array): TraceLeaf | undefined {
  const name = dataSchema.exec(Buffer.from(bytes).toString())?.[1] ?? ''
  const topic = topicNamed(name)
  const decoded = topic && decodeEvent(topic, bytes)
  if (topic === undefined || !decoded?.ok) return undefined
  return { index, topic: name as TopicName, event: decoded.event as DecodedEvent, bytes }
}
