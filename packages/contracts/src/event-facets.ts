/** The facets that a search can ask for. `id` is any other name: of a request, a grant, a decision, an event, a finding. */
export type Facet = 'id' | 'call' | 'agent' | 'approver' | 'task' | 'resource' | 'reason' | 'type'

/** A value under its facet, so that an agent's name for its task is never taken for the id of a grant. */
export type Term = `${Facet} ${string}`
export const termOf = (facet: Facet, value: string): Term => `${facet} ${value}`

/**
 * Members whose values name something that a person may search for, anywhere in `data`. The schemas fix the members, so an agent cannot
 * put a name of its choice there.
 */
const facetOfMember: Readonly<Record<string, Facet>> = {
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
const reasonCode = /^[a-z]+(_[a-z]+)*$/

/** All terms that an event itself states, each once. */
export function termsOf(event: Readonly<Record<string, unknown>>): Set<Term> {
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
      return Object.hasOwn(facetOfMember, member) ? facetOfMember[member] : undefined
  }
}

const isReason = (member: string, value: unknown) =>
  (member === 'reason' || member === 'code') && typeof value === 'string' && reasonCode.test(value)

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
