/** The facets that a search can ask for. `id` is any other name: of a request, a grant, a decision, an event, a finding. */
export const facets = ['id', 'call', 'agent', 'approver', 'task', 'resource', 'reason', 'type'] as const
export type Facet = (typeof facets)[number]

/** A value under its facet, so that an agent's name for its task is never taken for the id of a grant. */
export type Term = `${Facet} ${string}`
export const termOf = (facet: Facet, value: string): Term => `${facet} ${value}`

/** A term of every leaf, so that a search can use time alone. */
export const everyLeaf: Term = 'type *'
