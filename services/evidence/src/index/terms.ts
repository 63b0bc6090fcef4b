import { type Term, termOf } from '@bailiwick/contracts'

/** A term of every leaf, so that a search can use time alone. */
export const everyLeaf: Term = 'type *'

export const allowed = 'decision.allowed'
const agentFacet = 'agent '

/** A term of each ALLOW that names this agent. A search for it looks at no denial, however many an agent causes. */
export const allowOf = (agent: string): Term => termOf('type', `${allowed} ${agent}`)

/** The terms of an event in the index: those that it states, that of every leaf, and for an ALLOW one for each agent. */
export function indexTerms(type: string, stated: ReadonlySet<Term>): Term[] {
  const agents = type === allowed ? [...stated].filter((term) => term.startsWith(agentFacet)) : []
  return [everyLeaf, ...stated, ...agents.map((term) => allowOf(term.slice(agentFacet.length)))]
}
