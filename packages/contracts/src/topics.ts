import type { z } from 'zod'
import {
  attachmentErased,
  attachmentStored,
  candidateAnswered,
  decisionAbandoned,
  decisionAllowed,
  decisionDenied,
  denialsSummarised,
  enginesDiffered,
  outcomeMissing,
  outcomeRefused,
  outcomeReported,
} from './decisions.ts'
import { grantEvents, revocationAcknowledged, revocationDeclared } from './grants.ts'
import { leafAppended } from './ocsf/classes.ts'
import { registryEvents } from './registry.ts'
import {
  accessRequestSubmitted,
  enrolmentOffered,
  requestApproved,
  requestCancelled,
  requestDenied,
  requestEndorsed,
  requestExpired,
  requestReceived,
  requestReviewed,
  requestWithdrawn,
  revocationRequested,
} from './requests.ts'
import {
  checkpointPublished,
  eventParked,
  eventRefused,
  gapDetected,
  headPublished,
  leavesDropped,
  outcomeContradicted,
  outcomeSkipped,
  outcomeUnrelayed,
  policyFilesChanged,
  valueErased,
} from './system.ts'

export const services = ['approval', 'issuer', 'policy-decision', 'evidence'] as const
export type ServiceName = (typeof services)[number]
export type Writer = ServiceName | 'agents' | 'every service'

export interface Topic {
  name: string
  about: string
  writer: Writer
  readers: readonly ServiceName[]
  partitions: number
  cleanup: { retentionDays: number } | 'for ever' | 'compact'
  /**
   * What is deleted at once and from the disk on the embedded adapter, and after its retention on Kafka. `by_key`: the earlier events under
   * a key that gets a new event. `once_handled`: the events that the topic's only reading service has handled.
   */
  erasable?: 'by_key' | 'once_handled'
  /** Each event becomes a leaf of the log, and is numbered and chained by its producer. */
  leaf: boolean
  events: Readonly<Record<string, z.ZodType>>
  /** The event types that do not advance a `version`; all others on a leaf topic with a versioned subject carry one. */
  unversioned?: readonly string[] | 'all'
}

const defineTopic = <const T extends Topic>(topic: T): T => topic

/** Agents' signed requests. Every writer here is untrusted: approval verifies the JWS inside each. */
export const accessRequestsV1 = defineTopic({
  name: 'access-requests.v1',
  about:
    'Agents ask for tasks. Untrusted; each message holds a JWS by the agent. Keyed by request id or anything else.',
  writer: 'agents',
  readers: ['approval'],
  partitions: 3,
  cleanup: { retentionDays: 7 },
  erasable: 'once_handled', // it contains an agent's text in the clear
  leaf: false,
  events: { 'access-request.submitted': accessRequestSubmitted },
})

/** Facts about one request, ordered by request id. Only approval writes here. */
export const approvalsV1 = defineTopic({
  name: 'approvals.v1',
  about: "A request's life, keyed by request id; `version` is the request's.",
  writer: 'approval',
  readers: ['approval', 'issuer', 'policy-decision', 'evidence'],
  partitions: 3,
  cleanup: { retentionDays: 30 },
  leaf: true,
  events: {
    'request.received': requestReceived,
    'request.endorsed': requestEndorsed,
    'request.approved': requestApproved,
    'request.denied': requestDenied,
    'request.expired': requestExpired,
    'request.cancelled': requestCancelled,
    'request.withdrawn': requestWithdrawn,
    'request.reviewed': requestReviewed,
    'enrolment.offered': enrolmentOffered,
    'revocation.requested': revocationRequested,
  },
})

/** The registry: all entities and rules; kept for ever. One partition, because entities authorise each other and need one order. */
export const registryV1 = defineTopic({
  name: 'registry.v1',
  about:
    'Service keys, agents, approvers, rules, tool servers, enforcement points and the active policy set, keyed by entity.',
  writer: 'issuer',
  readers: ['approval', 'issuer', 'policy-decision', 'evidence'],
  partitions: 1,
  cleanup: 'for ever',
  leaf: true,
  events: registryEvents,
})

/** A tree's life, keyed by root grant id; `version` is the tree's on this topic. */
export const grantsV1 = defineTopic({
  name: 'grants.v1',
  about: "A tree's life: grant, delegations, credentials. Keyed by root grant id; `version` is the tree's.",
  writer: 'issuer',
  readers: ['approval', 'issuer', 'policy-decision', 'evidence'],
  partitions: 3,
  cleanup: { retentionDays: 30 },
  leaf: true,
  events: grantEvents,
  unversioned: ['credential.refused'],
})

/**
 * Revocations. One partition; `version` is the dense sequence to which `as_of` refers. Kept for ever: an issuer that starts after the
 * beginning was deleted would count again from 1, and every reader that knows better would treat its next revocation as void (V7).
 */
export const revocationsV1 = defineTopic({
  name: 'revocations.v1',
  about:
    'What was revoked, in one order, and when each revocation was acknowledged as durable; `version` is its dense sequence, which `as_of` refers to.',
  writer: 'issuer',
  readers: ['approval', 'issuer', 'policy-decision', 'evidence'],
  partitions: 1,
  cleanup: 'for ever',
  leaf: true,
  events: { 'revocation.declared': revocationDeclared, 'revocation.acknowledged': revocationAcknowledged },
  unversioned: ['revocation.acknowledged'],
})

/** A tree's actions, keyed by root grant id, otherwise by subject. ALLOWs, abandonments and outcomes advance the tree's `version`. */
export const decisionsV1 = defineTopic({
  name: 'decisions.v1',
  about:
    "A tree's actions: decisions and outcomes. Keyed by root grant id, else subject; `version` is the tree's, absent on denials, refused outcomes, candidates' answers and differences of engines.",
  writer: 'policy-decision',
  readers: ['approval', 'issuer', 'policy-decision', 'evidence'],
  partitions: 3,
  cleanup: { retentionDays: 30 },
  leaf: true,
  events: {
    'decision.allowed': decisionAllowed,
    'decision.denied': decisionDenied,
    'decision.abandoned': decisionAbandoned,
    'outcome.reported': outcomeReported,
    'outcome.missing': outcomeMissing,
    'outcome.refused': outcomeRefused,
    'denials.summarised': denialsSummarised,
    'candidate.answered': candidateAnswered,
    'engines.differed': enginesDiffered,
  },
  unversioned: ['decision.denied', 'outcome.refused', 'denials.summarised', 'candidate.answered', 'engines.differed'],
})

/** The position of each instance, every 500 ms. Signed, but not numbered, and not evidence. */
export const headsV1 = defineTopic({
  name: 'heads.v1',
  about: 'Where each service instance is: its chain, what counts in the topics it writes, how far it has read.',
  writer: 'every service',
  readers: ['approval', 'issuer', 'policy-decision', 'evidence'],
  partitions: 1,
  cleanup: 'compact',
  leaf: false,
  events: { 'head.published': headPublished },
})

/** For SIEMs: one OCSF event per leaf. One partition, so that readers get the order of the log. */
export const evidenceV1 = defineTopic({
  name: 'evidence.v1',
  about:
    'One OCSF 1.9 event for each leaf, in the order of the log, keyed by leaf index. An event that is sent twice has the same id both times.',
  writer: 'evidence',
  readers: [],
  partitions: 1,
  cleanup: { retentionDays: 30 },
  leaf: false,
  events: { 'leaf.appended': leafAppended },
})

/** Signed tree heads, as they are published. */
export const checkpointsV1 = defineTopic({
  name: 'checkpoints.v1',
  about: 'Signed checkpoints of the log, keyed by its origin.',
  writer: 'evidence',
  readers: ['evidence'],
  partitions: 1,
  cleanup: 'compact',
  leaf: false,
  events: { 'checkpoint.published': checkpointPublished },
})

/** Findings of evidence. */
export const findingsV1 = defineTopic({
  name: 'findings.v1',
  about:
    'What evidence noticed: gaps, outcomes that are unrelayed, skipped or contradicted, events that cannot count, edited policies, what a sink will never get, values that were erased. Keyed by what it is about.',
  writer: 'evidence',
  readers: ['evidence'],
  partitions: 1,
  cleanup: { retentionDays: 30 },
  leaf: true,
  events: {
    'gap.detected': gapDetected,
    'outcome.unrelayed': outcomeUnrelayed,
    'outcome.skipped': outcomeSkipped,
    'outcome.contradicted': outcomeContradicted,
    'event.refused': eventRefused,
    'policy-files.changed': policyFilesChanged,
    'leaves.dropped': leavesDropped,
    'value.erased': valueErased,
  },
  unversioned: 'all',
})

const attachments = <W extends 'approval' | 'policy-decision'>(writer: W) =>
  defineTopic({
    name: `attachments.${writer}.v1` as const,
    about: `Erasable values that ${writer}'s events hold only as salted hashes.`,
    writer,
    readers: ['approval', 'evidence'],
    partitions: 1,
    cleanup: { retentionDays: 7 },
    erasable: 'by_key',
    leaf: false,
    events: { 'attachment.stored': attachmentStored, 'attachment.erased': attachmentErased },
  })
export const attachmentsApprovalV1 = attachments('approval')
export const attachmentsPolicyDecisionV1 = attachments('policy-decision')

const sources = [
  accessRequestsV1,
  approvalsV1,
  registryV1,
  grantsV1,
  revocationsV1,
  decisionsV1,
  headsV1,
  evidenceV1,
  checkpointsV1,
  findingsV1,
  attachmentsApprovalV1,
  attachmentsPolicyDecisionV1,
] as const satisfies readonly Topic[]

/** Where evidence records what it could not read from the topic of that name; a leaf, because it represents one. */
export const parkedTopic = (source: Topic): Topic => ({
  name: `${source.name}.parked`,
  about: `What could not be read on ${source.name}: position, hash, size, error code. Keyed as the source.`,
  writer: 'evidence',
  readers: ['evidence'],
  partitions: 1,
  cleanup: { retentionDays: 30 },
  leaf: true,
  events: { 'event.parked': eventParked },
  unversioned: 'all',
})

/** Every existing topic. */
export const topics: readonly Topic[] = [
  ...sources,
  ...sources.filter((topic) => topic.leaf && topic.name !== findingsV1.name).map(parkedTopic),
]

const byName = new Map(topics.map((topic) => [topic.name, topic]))
export const topicNamed = (name: string): Topic | undefined => byName.get(name)

type Sources = (typeof sources)[number]
type EventsOf<N extends TopicName> = N extends ParkedTopicName
  ? { 'event.parked': typeof eventParked }
  : Extract<Sources, { name: N }>['events']
export type SourceTopicName = Sources['name']
export type ParkedTopicName = `${SourceTopicName}.parked`
export type TopicName = SourceTopicName | ParkedTopicName
export type EventTypeOf<N extends TopicName> = N extends TopicName ? keyof EventsOf<N> & string : never
export type EventData<N extends TopicName, E extends EventTypeOf<N>> =
  EventsOf<N> extends Record<E, z.ZodType<infer D>> ? D : never

/** Every event type that is a leaf of the log. */
export type LeafEventType = EventTypeOf<Extract<Sources, { leaf: true }>['name'] | ParkedTopicName>

/** An event's `dataschema`. Its end names the schema of the data in the generated bundle of JSON Schemas. */
export const dataSchemaOf = (topic: Topic, type: string): string => `urn:bailiwick:schema:${topic.name}:${type}`

/** Whether events of this type carry the `version` that they assign to their entity or tree. */
export const isVersioned = (topic: Topic, type: string): boolean =>
  topic.leaf && topic.unversioned !== 'all' && !topic.unversioned?.includes(type)

/** The members of an envelope that say who produced it, and in which order. */
export type ProducerMember = 'version' | 'sequence' | 'previous' | 'jws'

/** Which of these members an event of this type must carry; it must not carry the others. */
export const producerMembers = (topic: Topic, type: string): Readonly<Record<ProducerMember, boolean>> => ({
  version: isVersioned(topic, type),
  sequence: topic.leaf,
  previous: topic.leaf,
  jws: topic.writer !== 'agents',
})

/** The permitted writers of a topic; its broker ACLs and the certificates of event keys say the same. */
export const writersOf = (topic: Topic): readonly (ServiceName | 'agents')[] =>
  topic.writer === 'every service' ? services : [topic.writer]
