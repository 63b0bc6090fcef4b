import { type Facet, type Term, termOf, topics } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import type { RegistryState } from '@bailiwick/projection'
import type { LeafPlace, LeafQuery } from './find-leaves.ts'
import { allowed, allowOf } from './terms.ts'

/** The criteria of a search. An event must match all of those given. */
export interface Search {
  /** Any thing with this name. */
  id?: string | undefined
  agent?: string | undefined
  approver?: string | undefined
  task?: string | undefined
  resource?: string | undefined
  reason?: string | undefined
  /** An event type, or the first word of several, such as `decision`. */
  type?: string | undefined
  /** ms since the epoch, both included. */
  from?: number | undefined
  to?: number | undefined
  before?: LeafPlace | undefined
}

const leafTypes = topics.filter(({ leaf }) => leaf).flatMap(({ events }) => Object.keys(events))
const simple = ['task', 'resource', 'reason'] as const

/** The search as a query of the index. An approver is also found by passkeys, since assertions name those. */
export function queryOf(search: Search, registry: Pick<RegistryState, 'passkeysOf'>): LeafQuery {
  const { id, approver, agent, type, from, to, before } = search
  const hand = (name: string) => [name, ...registry.passkeysOf(name)].map((each) => termOf('approver', each))
  const each: Term[][] = []
  if (id !== undefined)
    each.push(facetsOf(id).flatMap((facet) => (facet === 'approver' ? hand(id) : [termOf(facet, id)])))
  if (approver !== undefined) each.push(hand(approver))
  for (const facet of simple) if (search[facet] !== undefined) each.push([termOf(facet, search[facet])])
  if (agent !== undefined && type === allowed) each.push([allowOf(agent)])
  else {
    if (agent !== undefined) each.push([termOf('agent', agent)])
    if (type !== undefined) each.push(typesOf(type).map((name) => termOf('type', name)))
  }
  return { each, from, to, before }
}

/** An agent may name its task, or a call, like another agent's grant. A search for a grant must not find those. */
function facetsOf(name: string): readonly Facet[] {
  if (name.startsWith('spiffe://')) return ['agent']
  if (/^(req|grt|dlg|crd|dec|evt|rev|enr)_/.test(name)) return ['id']
  return ['id', 'call', 'approver', 'task', 'resource']
}

function typesOf(word: string): string[] {
  const types = leafTypes.filter((type) => type === word || type.startsWith(`${word}.`))
  // A misspelt type would find nothing, as if nothing had happened.
  if (types.length === 0) throw new ServiceError('request_malformed', `type: there are no events of the type ${word}`)
  return types
}
