import type { Facet, Term } from '@bailiwick/contracts'

/**
 * How an event relates to others. An outcome names only its decision and its grant. It gets its agent, task and approvers from the events
 * that it follows from.
 */
export interface Lineage {
  /** The thing that the event brings into being, under the name by which later events follow from it. */
  begins?: string
  /** The terms of a thing that also apply to everything that follows from it. */
  passes?: Passes
  /** The things that the event follows from. */
  from: readonly string[]
}

interface Passes {
  of: string
  terms: readonly Term[]
  /** Whether the event also passes on the terms that it inherited. */
  inherited: boolean
}

/** Members that name what an event follows from. The schema fixes their form, so an agent cannot put a name of its choice there. */
const descending = [
  'request_id',
  'grant_id',
  'delegation_id',
  'credential_id',
  'decision_id',
  'step_up',
  'parent',
  'target',
]
const thingId = /^id (req|grt|dlg|crd|dec)_/

/** An approval has the id of its request. This name tells the two apart. */
export const approvalOf = (requestId: string) => `approval of ${requestId}`

export function lineageOf(type: string, data: unknown, terms: ReadonlySet<Term>): Lineage {
  const [members] = objectsIn(data)
  if (members === undefined) return { from: [] }
  const holders = [members, ...[members.actor, members.denial].flatMap(objectsIn)]
  const from = new Set(holders.flatMap((holder) => descending.flatMap((member) => textIn(holder, member))))
  const [grant] = objectsIn(members.grant)
  for (const id of [...textIn(grant, 'id'), ...textIn(grant, 'request_id')]) from.add(id)
  const [of] = textIn(type === 'grant.created' ? grant : members, idOf[type] ?? '')
  if (of === undefined) return { from: [...from] }
  from.delete(of)
  const begins = type === 'request.approved' ? approvalOf(of) : of
  const facets = passed[type]
  if (facets === undefined) return { begins, from: [...from] }
  const ofFacets = (term: Term) => {
    const facet = term.slice(0, term.indexOf(' ')) as Facet
    return facets.includes(facet) && (facet !== 'id' || thingId.test(term))
  }
  // An outcome also names its grant and inherits the rest from there. Only the approver of a step-up must come from the decision.
  const inherited = type !== 'decision.allowed' || members.step_up !== undefined
  return { begins, passes: { of, terms: [...terms].filter(ofFacets), inherited }, from: [...from] }
}

/** The events that bring a thing into being, and the member in which each names it. */
const idOf: Readonly<Record<string, string>> = {
  'request.received': 'request_id',
  'request.approved': 'request_id',
  'grant.created': 'id',
  'delegation.redeemed': 'delegation_id',
  'credential.intended': 'credential_id',
  'decision.allowed': 'decision_id',
  'decision.denied': 'decision_id',
}

/** The facets of an event's terms that also apply to its consequences. `id`: only names of things. Nothing follows from a denial. */
const passed: Readonly<Record<string, readonly Facet[]>> = {
  'request.received': ['agent', 'task', 'id'],
  'request.approved': ['approver'],
  'grant.created': ['agent', 'task', 'approver', 'id'],
  'delegation.redeemed': ['agent', 'id'],
  'credential.intended': ['agent', 'id'],
  'decision.allowed': ['agent', 'resource', 'call', 'id'],
}

const objectsIn = (value: unknown): Record<string, unknown>[] =>
  typeof value === 'object' && value !== null ? [value as Record<string, unknown>] : []

function textIn(object: Record<string, unknown> | undefined, member: string): string[] {
  const value = object?.[member]
  return typeof value === 'string' ? [value] : []
}
