import { eventRow, type Facet, type Pointer, type Term, type ThingAt, textAt, thingsAt } from '@bailiwick/contracts'

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

const thingId = /^id (req|grt|dlg|crd|dec)_/

/** An approval and its request have one id, and what follows from either follows from both. */
const idAt = (place: ThingAt): Pointer => (typeof place === 'string' ? place : place.approvalOf)

/** Nothing follows from an event of a type that this version does not know. */
export function lineageOf(type: string, data: unknown, terms: ReadonlySet<Term>): Lineage {
  const row = eventRow(type)
  if (row === undefined) return { from: [] }
  const { begins, from = [], beside = [], about = [], apart, passes } = row
  const of = begins && textAt(data, idAt(begins))
  const ids = apart ? [] : thingsAt(data, [...from, ...beside, ...about].map(idAt))
  const causes = [...new Set(ids)].filter((id) => id !== of)
  if (begins === undefined || of === undefined) return { from: causes }
  const [thing = of] = thingsAt(data, [begins])
  if (passes === undefined) return { begins: thing, from: causes }
  const ofFacets = (term: Term) => {
    const facet = term.slice(0, term.indexOf(' ')) as Facet
    return passes.facets.includes(facet) && (facet !== 'id' || thingId.test(term))
  }
  const inherited = passes.inherited === true || textAt(data, passes.inherited) !== undefined
  return { begins: thing, passes: { of, terms: [...terms].filter(ofFacets), inherited }, from: causes }
}
