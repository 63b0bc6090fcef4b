import { type Envelope, encodeEnvelope, formatSequence } from '../envelope.ts'
import { dataSchemaOf, producerMembers, type SourceTopicName, type Topic, topicNamed } from '../topics.ts'
import { accessRequests, approvals } from './approvals.ts'
import { attachmentExamples, decisions } from './decisions.ts'
import { grants, revocations } from './grants.ts'
import { evidence } from './ocsf.ts'
import { registry } from './registry.ts'
import type { ExamplesOf } from './shape.ts'
import { checkpoints, findings, heads, parked } from './system.ts'
import { at, eventJws, id, instance, sha256 } from './values.ts'

/** Valid `data` for every existing event type: the compiler reports a missing one. Hashes and signatures are made up. */
export const examples: { readonly [N in SourceTopicName]: ExamplesOf<N> } = {
  'access-requests.v1': accessRequests,
  'approvals.v1': approvals,
  'registry.v1': registry,
  'grants.v1': grants,
  'revocations.v1': revocations,
  'decisions.v1': decisions,
  'heads.v1': heads,
  'evidence.v1': evidence,
  'checkpoints.v1': checkpoints,
  'findings.v1': findings,
  'attachments.approval.v1': attachmentExamples,
  'attachments.policy-decision.v1': attachmentExamples,
}

/** The examples of one event type, named by what is special about each; none if the topic has no such type. */
export function examplesOf(topic: Topic, type: string): Readonly<Record<string, unknown>> {
  const byType: Readonly<Record<string, Readonly<Record<string, unknown>>>> =
    topicNamed(topic.name) && topic.name in examples ? examples[topic.name as SourceTopicName] : parked
  return byType[type] ?? {}
}

/**
 * A whole event around one example, the first unless `data` is given: with every member that its topic requires, and none that it forbids.
 * `jws` is only correct in form. To get an event that counts, drop it and sign the result of `encodeEnvelope`.
 */
export function exampleEvent(topicName: string, type: string, data?: unknown): Envelope {
  const topic = topicNamed(topicName)
  const [first] = topic ? Object.values(examplesOf(topic, type)) : []
  if (topic === undefined || first === undefined) throw new RangeError(`${topicName} has no ${type}`)
  const service = topic.writer === 'every service' ? 'issuer' : topic.writer
  const must = producerMembers(topic, type)
  const subject = id('sub', 'example')
  return {
    specversion: '1.0',
    id: id('evt', type.replaceAll('.', '-')),
    source: topic.writer === 'agents' ? instance : `/${service}/01EXAMPLE`,
    type,
    time: at(4),
    subject,
    datacontenttype: 'application/json',
    dataschema: dataSchemaOf(topic, type),
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    partitionkey: subject,
    ...(must.version ? { version: 3 } : {}),
    ...(must.sequence ? { sequence: formatSequence(12) } : {}),
    ...(must.previous ? { previous: sha256('previous-event') } : {}),
    data: data ?? first,
    ...(must.jws ? { jws: eventJws } : {}),
  }
}

/** The bytes of an event as on the bus: `jws`, if there is one, comes after everything that it signs. */
export function eventText({ jws: signature, ...unsigned }: Envelope): string {
  const text = new TextDecoder().decode(encodeEnvelope(unsigned))
  return signature === undefined ? text : `${text.slice(0, -1)},"jws":${JSON.stringify(signature)}}`
}
