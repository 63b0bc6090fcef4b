import type { EntityType } from './entities.ts'
import type { Facet } from './event-facets.ts'
import { type LeafEventType, topics } from './topics.ts'

/** A member of an event's data, as a JSON pointer (RFC 6901): `/actor/grant_id`. */
export type Pointer = `/${string}`

/** The thing that a member names, or the approval of the request that it names: the two have one id. */
export type ThingAt = Pointer | { approvalOf: Pointer }

export const eventKinds = [
  'request',
  'approval',
  'grant',
  'delegation',
  'credential',
  'decision',
  'outcome',
  'revocation',
  'registry',
  'finding',
] as const
export type EventKind = (typeof eventKinds)[number]

/** Whether an event is good or bad news for the people who watch. */
export type Tone = 'good' | 'bad' | 'warn' | 'plain'

/** What every reader must know of an event type. A member that an event does not have, or that is not text, names nothing. */
export interface EventRow {
  kind: EventKind
  /** The thing that the event brings into being, under the name by which later events follow from it. */
  begins?: ThingAt
  /** What led to the event, nearest first. It is below the first of these that the log has. */
  from?: readonly ThingAt[]
  /** What the event rests on, although that did not lead to it. */
  beside?: readonly ThingAt[]
  /** What else the event inherits from, for searches. It is not part of the event's story. */
  about?: readonly Pointer[]
  /** It inherits nothing: a search for what it followed from does not find it. */
  apart?: true
  /** The grant that its actor held. The earlier moves of that grant to other keys show who held it. */
  heldUnder?: Pointer
  /** The decision that the event ends. */
  ends?: Pointer
  /** What a search for anything that follows from the event may go by. */
  passes?: Passes
  /** The event is a finding about a missing leaf, or about a message that is not a leaf. Its subject names that, and is reported once. */
  tells?: true
  /** Where the event holds a text, or a call, only as a salted hash. */
  values?: readonly Pointer[]
  /** One to four words for people. */
  words: string
  tone: Tone
  /** What people look for first in the event: of each part, the first member that the event has. If absent, its subject. */
  gist?: readonly GistPart[]
}

export interface Passes {
  /** The facets that it passes on of those that the event itself states. `id`: only names of things. */
  facets: readonly Facet[]
  /** Whether it also passes on what it inherited. If this is a member: only if the event has that member. */
  inherited: true | Pointer
}

export interface GistPart {
  /** `subject` is the subject of the envelope. */
  of: readonly (Pointer | 'subject')[]
  /** A word that is put before it. */
  after?: string
}

const part = (...of: (Pointer | 'subject')[]): GistPart => ({ of })
const by = (...of: Pointer[]): GistPart => ({ of, after: 'by' })

const ofRequest = { approvalOf: '/request_id' } as const
const answer = { kind: 'approval', from: ['/request_id'] } as const
const ofGrant = {
  kind: 'grant',
  from: ['/grant/id', { approvalOf: '/grant/request_id' }, '/grant/request_id'],
} as const
const ofDecision = { from: ['/decision_id', '/grant_id'] } as const
const ofActor = {
  kind: 'decision',
  begins: '/decision_id',
  from: ['/actor/credential_id', '/actor/grant_id', '/actor/request_id'],
  about: ['/actor/delegation_id'],
} as const
const action = [part('/action/name'), part('/action/resource/id')]
const reason = ['/reason'] as const
const finding = { kind: 'finding', tells: true } as const
const entity = { kind: 'registry', tone: 'plain' } as const

const entityEvents = <T extends EntityType>(type: T) => {
  const name = type.slice(0, 1).toUpperCase() + type.slice(1).replace('-', ' ')
  return {
    [`${type}.registered`]: { ...entity, words: `${name} registered` },
    [`${type}.changed`]: { ...entity, words: `${name} changed` },
    [`${type}.retired`]: { ...entity, words: `${name} retired` },
  } as Record<`${T}.${'registered' | 'changed' | 'retired'}`, EventRow>
}

/**
 * Every event that is a leaf of the log: its place in a story, the searches that find it, and its words for people.
 * outcome → decision → credential → delegation → grant → approval → request.
 */
export const eventTable: Readonly<Record<LeafEventType, EventRow>> = {
  'request.received': {
    kind: 'request',
    begins: '/request_id',
    from: ['/grant_id'], // a step-up asks for one more action of an existing grant
    about: ['/denial/decision_id'],
    passes: { facets: ['agent', 'task', 'id'], inherited: true },
    values: ['/purpose', '/arguments'],
    words: 'Asked',
    tone: 'plain',
    gist: [part('/authority/task', '/action/resource/id')],
  },
  'request.endorsed': { ...answer, words: 'Signed, more people needed', tone: 'plain' },
  'request.approved': {
    ...answer,
    begins: ofRequest,
    passes: { facets: ['approver'], inherited: true },
    words: 'Approved',
    tone: 'good',
  },
  'request.denied': { ...answer, values: reason, words: 'Request denied', tone: 'bad', gist: [by('/by')] },
  'request.expired': { ...answer, words: 'Request expired', tone: 'warn' },
  'request.cancelled': { ...answer, words: 'Taken back by the agent', tone: 'plain' },
  'request.withdrawn': {
    kind: 'revocation',
    from: ['/grant_id', '/request_id'],
    values: reason,
    words: 'Withdrawn',
    tone: 'bad',
    gist: [by('/by')],
  },
  'request.reviewed': { ...answer, words: 'Emergency reviewed', tone: 'plain', gist: [by('/by')] },
  'enrolment.offered': { kind: 'registry', words: 'Enrolment offered', tone: 'plain' },
  'revocation.requested': {
    kind: 'revocation',
    about: ['/target'],
    values: reason,
    words: 'Stop asked for',
    tone: 'bad',
  },

  'grant.created': {
    kind: 'grant',
    begins: '/grant/id',
    from: [{ approvalOf: '/grant/request_id' }, '/grant/request_id'],
    passes: { facets: ['agent', 'task', 'approver', 'id'], inherited: true },
    words: 'Granted',
    tone: 'good',
    gist: [part('/grant/authority/task')],
  },
  'grant.completed': { ...ofGrant, words: 'Grant completed', tone: 'plain' },
  'grant.expired': { ...ofGrant, words: 'Grant expired', tone: 'plain' },
  'grant.suspended': { ...ofGrant, words: 'Grant suspended', tone: 'warn' },
  'grant.resumed': { ...ofGrant, words: 'Grant resumed', tone: 'plain' },
  'grant.rebound': { ...ofGrant, words: 'Grant bound to a new key', tone: 'warn' },
  'delegation.redeemed': {
    kind: 'delegation',
    begins: '/delegation_id',
    from: ['/parent', '/grant_id'],
    heldUnder: '/grant_id',
    passes: { facets: ['agent', 'id'], inherited: true },
    words: 'Passed on',
    tone: 'plain',
    gist: [part('/agent')],
  },
  'credential.intended': {
    kind: 'credential',
    begins: '/credential_id',
    from: ['/delegation_id', '/grant_id'],
    heldUnder: '/grant_id',
    passes: { facets: ['agent', 'id'], inherited: true },
    words: 'Credential',
    tone: 'plain',
    gist: [part('/credential_id', 'subject')],
  },
  'credential.issued': {
    kind: 'credential',
    from: ['/credential_id', '/grant_id'],
    words: 'Credential issued',
    tone: 'plain',
  },
  'credential.refused': {
    kind: 'credential',
    from: ['/credential_id', '/grant_id'],
    words: 'Credential refused',
    tone: 'bad',
    gist: [part('/credential_id', 'subject'), part('/reason')],
  },

  'decision.allowed': {
    ...ofActor,
    beside: [{ approvalOf: '/step_up' }],
    heldUnder: '/actor/grant_id',
    // An outcome also names its grant and inherits the rest from there. Only the approver of a step-up must come from the decision.
    passes: { facets: ['agent', 'resource', 'call', 'id'], inherited: '/step_up' },
    values: ['/action/call'],
    words: 'Allowed',
    tone: 'good',
    gist: action,
  },
  'decision.denied': { ...ofActor, words: 'Denied', tone: 'bad', gist: [...action, part('/reason')] },
  'decision.abandoned': {
    ...ofDecision,
    kind: 'decision',
    ends: '/decision_id',
    words: 'Allowed too late, taken back',
    tone: 'warn',
  },
  'outcome.reported': {
    ...ofDecision,
    kind: 'outcome',
    ends: '/decision_id',
    words: 'Outcome',
    tone: 'plain',
    gist: [part('/status')],
  },
  'outcome.missing': {
    ...ofDecision,
    kind: 'outcome',
    ends: '/decision_id',
    words: 'Outcome missing',
    tone: 'bad',
  },
  'outcome.refused': { ...ofDecision, kind: 'outcome', words: 'Second outcome, not taken', tone: 'bad' },
  'denials.summarised': { kind: 'decision', words: 'Denials, summed up', tone: 'bad' },
  'candidate.answered': { kind: 'decision', words: 'Candidate answered', tone: 'plain' },
  'engines.differed': {
    kind: 'finding',
    words: 'Compiled policies differ from Cedar',
    tone: 'bad',
    gist: [part('/policy_set')],
  },

  'revocation.declared': {
    kind: 'revocation',
    from: ['/target'],
    values: reason,
    words: 'Revoked',
    tone: 'bad',
    gist: [part('/kind'), part('/target'), part('/reason'), by('/by/id')],
  },
  'revocation.acknowledged': { kind: 'revocation', words: 'Revocation is durable', tone: 'plain' },

  ...entityEvents('service-key'),
  ...entityEvents('agent'),
  ...entityEvents('approver'),
  ...entityEvents('rule'),
  ...entityEvents('tool-server'),
  ...entityEvents('enforcement-point'),
  ...entityEvents('auditor'),
  ...entityEvents('recovery'),
  ...entityEvents('policy-set'),

  'gap.detected': { ...finding, words: 'Events missing', tone: 'bad' },
  'event.refused': {
    ...finding,
    words: 'Event refused',
    tone: 'bad',
    gist: [part('/topic'), part('/code')],
  },
  'event.parked': {
    ...finding,
    words: 'Unreadable event',
    tone: 'bad',
    gist: [part('/topic'), part('/code')],
  },
  'outcome.unrelayed': { ...finding, about: ['/decision_id'], words: 'Outcome not relayed', tone: 'bad' },
  'outcome.skipped': { ...finding, words: 'Outcomes missing', tone: 'bad' },
  'outcome.contradicted': { ...finding, about: ['/decision_id'], words: 'Outcome contradicted', tone: 'bad' },
  'policy-files.changed': { ...finding, words: 'Policy files changed', tone: 'bad' },
  'leaves.dropped': { ...finding, words: 'Leaves dropped', tone: 'plain' },
  'value.erased': { ...finding, from: ['/about'], apart: true, words: 'Words erased', tone: 'warn' },
}

const rows = new Map<string, EventRow>(Object.entries(eventTable))

/** The row of an event type. Undefined for a type that this version does not know: a newer one may have written it. */
export const eventRow = (type: string): EventRow | undefined => rows.get(type)

/** The types that are leaves, from the topics. */
export const leafEventTypes: readonly string[] = [
  ...new Set(topics.filter(({ leaf }) => leaf).flatMap(({ events }) => Object.keys(events))),
]

/** The name of an approval: it has the id of its request, and this tells the two apart. */
export const approvalOf = (requestId: string): string => `approval of ${requestId}`

/** The text at a place in an event's data; undefined if there is none. The data may have any form. */
export function textAt(data: unknown, pointer: Pointer): string | undefined {
  let at = data
  for (const member of pointer.slice(1).split('/'))
    at = isRecord(at) && Object.hasOwn(at, member) ? at[member] : undefined
  return typeof at === 'string' ? at : undefined
}

/** The names of the things at these places, in their order; without those that the event does not have. */
export const thingsAt = (data: unknown, places: readonly ThingAt[] = []): string[] =>
  places.flatMap((place) => {
    const id = textAt(data, typeof place === 'string' ? place : place.approvalOf)
    return id === undefined ? [] : [typeof place === 'string' ? id : approvalOf(id)]
  })

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null
