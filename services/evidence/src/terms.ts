/** What a search can ask for. `id` is every other name: of a request, a grant, a decision, an event, a finding. */
export const facets = ['id', 'call', 'agent', 'approver', 'task', 'resource', 'reason', 'type'] as const
export type Facet = (typeof facets)[number]

/** A value under its facet: what an agent calls its task is never taken for the id of a grant. */
export type Term = `${Facet} ${string}`
export const termOf = (facet: Facet, value: string): Term => `${facet} ${value}`

/** Every leaf has it, so that time alone can be searched. */
export const everyLeaf: Term = 'type *'
