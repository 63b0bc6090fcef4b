import { createHash } from 'node:crypto'
import { type DecodedEvent, decodeEvent, type TopicName, topicNamed } from '@bailiwick/contracts'

/** What a finding breaks: an invariant of DESIGN §12, or the form on which they all depend. */
export type Rule =
  | 'leaf'
  | 'version'
  | 'registry'
  | 'outcome'
  | 'V1'
  | 'V2'
  | 'V3'
  | 'V4'
  | 'V5'
  | 'V6'
  | 'V7'
  | 'V9'
  | 'V10'
  | 'V11'
  | 'V12'
  | 'V14'
  | 'V15'
  | 'V17'

export interface Finding {
  /** Index of the leaf at fault; -1: the log as a whole. */
  leaf: number
  rule: Rule
  detail: string
}

/** One leaf that reads as an event of its topic. */
export interface Leaf<N extends TopicName = TopicName> {
  index: number
  topic: N
  event: DecodedEvent<N>
  bytes: Uint8Array
  /** ms since the epoch, as the event states it. */
  at: number
}

/** The leaves of one topic, in their order. */
export function onTopic<N extends TopicName>(leaves: readonly Leaf[], topic: N): Leaf<N>[] {
  return leaves.filter((leaf) => leaf.topic === topic) as unknown as Leaf<N>[]
}

/** Its number in its producer's chain. */
export const sequenceOf = ({ event }: Leaf): number => Number(event.sequence)

export const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('base64url')

/** Reads an entry as the event that it claims to be; otherwise returns the reason why it is not one. */
export function readLeaf(index: number, bytes: Uint8Array): Leaf | string {
  const name = claimedTopic(bytes)
  const topic = topicNamed(name ?? '')
  if (topic === undefined || !topic.leaf) return 'its dataschema names no topic whose events are leaves'
  const decoded = decodeEvent(topic, bytes)
  if (!decoded.ok) return `${decoded.code}: ${decoded.detail}`
  const event = decoded.event as DecodedEvent
  if (event.dataschema !== `urn:bailiwick:schema:${topic.name}:${event.type}`) return 'dataschema and type disagree'
  return { index, topic: topic.name as TopicName, event, bytes, at: Date.parse(event.time) }
}

/** A leaf does not say on which topic it stood. Its schema does, and the key that signed must be certified for that topic. */
function claimedTopic(bytes: Uint8Array): string | undefined {
  try {
    const { dataschema } = JSON.parse(Buffer.from(bytes).toString('utf8'))
    return String(dataschema).split(':')[3]
  } catch {
    return undefined
  }
}
