import { type Facet, parseStrictJson, type Term, termOf } from '@bailiwick/contracts'
import { sha256 } from '@bailiwick/credentials'
import { type Claim, claimOf } from '@bailiwick/projection'
import type { Numbered } from './chain.ts'
import { type Lineage, lineageOf } from './lineage.ts'
import { type OutcomeLink, outcomeLink } from './outcome-links.ts'

/** The facts about an event that the index needs, read from a leaf's bytes. */
export interface LeafFacts {
  eventId: string
  type: string
  source: string
  /** The event's place among its producer's events. */
  numbered: Numbered | undefined
  /** If the event relays an outcome: its place among the outcomes of its enforcement point. */
  outcome: OutcomeLink | undefined
  /** If the event is a finding of evidence about a missing leaf or a message that is not a leaf: the name of its subject. */
  tells: string | undefined
  /** ms since the epoch, as the event's producer signed it. */
  at: number
  /** All terms that the event itself states, each once. */
  terms: ReadonlySet<Term>
  lineage: Lineage
  /** The thing whose versions the event counts with, if any. */
  claim: Claim | undefined
  /** The agents that got a yes or a no, and how often. */
  answers: readonly Answer[]
}

export interface Answer {
  agent: string
  verdict: 'allowed' | 'denied'
  count: number
}

/** Members whose values name something that a person may search for, anywhere in `data`. */
const naming: Readonly<Record<string, Facet>> = {
  request_id: 'id',
  grant_id: 'id',
  delegation_id: 'id',
  decision_id: 'id',
  call_id: 'call',
  change_id: 'id',
  enrolment_id: 'id',
  revocation_id: 'id',
  event_id: 'id',
  attachment_id: 'id',
  about: 'id',
  enforcement_point: 'id',
  proposer: 'id',
  target: 'id',
  id: 'id',
  agent: 'agent',
  sub_agent: 'agent',
  approver_id: 'approver',
  by: 'approver',
  task: 'task',
}
const longestName = 2100

/**
 * The types of findings about a missing leaf or a message that is not a leaf. Each has the name as its subject, and evidence looks that
 * name up before it reports the same again.
 */
const telling: ReadonlySet<string> = new Set([
  'event.parked',
  'event.refused',
  'gap.detected',
  'outcome.unrelayed',
  'outcome.skipped',
  'outcome.contradicted',
  'policy-files.changed',
  'leaves.dropped',
  'value.erased',
])
const reasonCode = /^[a-z]+(_[a-z]+)*$/

/** The facts of a leaf. Its bytes were decoded before they became a leaf. */
export function leafFacts(bytes: Uint8Array): LeafFacts {
  const event = parseStrictJson(bytes) as Record<string, unknown>
  const terms = termsOf(event)
  const { id: eventId, type, source, sequence, previous, time } = event
  const at = Date.parse(String(time))
  return {
    eventId: String(eventId),
    type: String(type),
    source: String(source),
    numbered:
      sequence === undefined
        ? undefined
        : {
            ...{ sequence: Number(sequence), hash: sha256(bytes) },
            previous: typeof previous === 'string' ? previous : undefined,
          },
    outcome: outcomeLink(String(type), event.data),
    at: Number.isFinite(at) ? at : 0,
    terms,
    lineage: lineageOf(String(type), event.data, terms),
    tells: telling.has(String(type)) ? String(event.subject) : undefined,
    claim: claimOf(event),
    answers: answersIn(String(type), event.data),
  }
}

function termsOf(event: Record<string, unknown>): Set<Term> {
  const terms = new Set<Term>([termOf('type', String(event.type))])
  const name = (facet: Facet, value: unknown) => {
    if (typeof value !== 'string' || value === '' || value.length > longestName) return
    if (!value.startsWith('spiffe://')) return void terms.add(termOf(facet, value))
    terms.add(termOf('agent', value))
    // A search for an agent means all its instances.
    const cut = value.lastIndexOf('/')
    if (cut > 'spiffe://'.length) terms.add(termOf('agent', value.slice(0, cut)))
  }
  const walk = (value: unknown, holder: string): void => {
    if (Array.isArray(value)) for (const item of value) walk(item, holder)
    if (!isObject(value)) return
    if (holder === 'resource' || holder === 'resources') {
      name('resource', value.id ?? value.id_prefix)
      return
    }
    for (const [member, inner] of Object.entries(value)) {
      const facet = facetOf(member, value, holder)
      if (facet !== undefined) name(facet, inner)
      if (isReason(member, inner)) name('reason', inner)
      walk(inner, member)
    }
  }
  name('id', event.id)
  name('id', event.subject)
  walk(event.data, 'data')
  return terms
}

function facetOf(member: string, beside: Record<string, unknown>, holder: string): Facet | undefined {
  switch (member) {
    case 'credential_id': // in assertions it names a passkey, and so the approver
      return String(beside.credential_id).startsWith('crd_') ? 'id' : 'approver'
    case 'salted_sha256': // not indexed for calls: few are kept, those are found by their decision, and a million hashes would be useless
      return holder === 'call' ? undefined : 'id'
    case 'task': // the task of an item is the request that it belongs to
      return holder === 'item' ? 'id' : 'task'
    case 'subject':
      return holder === 'denials' ? 'id' : undefined
    case 'target':
      return beside.kind === 'approver' ? 'approver' : 'id'
    case 'id':
      return (holder === 'by' && beside.kind === 'approver') || (holder === 'entity' && beside.type === 'approver')
        ? 'approver'
        : 'id'
    default:
      return Object.hasOwn(naming, member) ? naming[member] : undefined
  }
}

const isReason = (member: string, value: unknown) =>
  (member === 'reason' || member === 'code') && typeof value === 'string' && reasonCode.test(value)

function answersIn(type: string, data: unknown): Answer[] {
  if (!isObject(data)) return []
  if (type === 'denials.summarised' && Array.isArray(data.denials))
    return data.denials.flatMap(({ subject, count }) => answer(subject, 'denied', Number(count)))
  if (type !== 'decision.allowed' && type !== 'decision.denied') return []
  const { actor } = data
  if (!isObject(actor)) return []
  return answer(actor.sub_agent ?? actor.agent, type === 'decision.allowed' ? 'allowed' : 'denied', 1)
}

/** Counted by agent, not by instance. */
function answer(instance: unknown, verdict: Answer['verdict'], count: number): Answer[] {
  if (typeof instance !== 'string' || !instance.startsWith('spiffe://') || instance.length > longestName) return []
  return [{ agent: instance.slice(0, instance.lastIndexOf('/')), verdict, count }]
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
