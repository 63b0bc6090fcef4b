import type { Charge } from './authority.ts'
import type { Value } from './cedar.ts'

// The history that policies read (DESIGN §7.4 step 6), as policies/schema.cedarschema declares it, counted anew from a
// list of allowed and refused calls.

export const labels = ['reads_private', 'writes', 'destructive', 'reads_untrusted', 'external_send', 'unlabelled']
export const currencies = ['EUR', 'USD']
export const facts = ['labels', 'calls', 'count', 'spent', 'last', 'denials', 'depth'] as const
export type Fact = (typeof facts)[number]
/** Refusals are not counted for all agents of an owner together. */
export type Whose = 'task' | 'agent' | 'owner'
export const factsOf: Record<Whose, readonly Fact[]> = {
  task: facts,
  agent: facts,
  owner: facts.filter((fact) => fact !== 'denials'),
}

/** A call that was allowed. */
export interface Deed {
  /** ms since the epoch */
  at: number
  labels: string[]
  cost: Charge | undefined
  /** It is known not to have happened. */
  released: boolean
  /** Delegations between the grant's agent and the acting agent. */
  depth: number
}

/**
 * Refusals by authority, policy or budget: attempts at something forbidden. A budget that others hold may be free a
 * moment later, so it does not count.
 */
export const isCounted = (reason: string) =>
  [
    'action_not_granted',
    'argument_out_of_bounds',
    'cost_invalid',
    'policy_denied',
    'uses_exhausted',
    'budget_exhausted',
  ].includes(reason)

/** A call that did not happen is in none of the sums, but its taint and its depth stay. */
export function historyOf(deeds: readonly Deed[], denials: number, depth: number, now: number): Record<Fact, Value> {
  const done = deeds.filter(({ released }) => !released)
  const touched = (label: string) => deeds.filter((deed) => deed.labels.includes(label))
  const by = (label: string) => done.filter((deed) => deed.labels.includes(label))
  const last = labels.flatMap((label): [string, Value][] => {
    const times = touched(label).map(({ at }) => at)
    return times.length === 0 ? [] : [[label, BigInt(Math.floor((now - Math.max(...times)) / 1000))]]
  })
  return {
    labels: deeds.flatMap((deed) => deed.labels),
    calls: BigInt(done.length),
    count: record(labels.map((label) => [label, BigInt(by(label).length)])),
    spent: record([...money(done), ...labels.map((label): [string, Value] => [label, record(money(by(label)))])]),
    last: record(last),
    denials: BigInt(denials),
    depth: BigInt(Math.max(depth, ...deeds.map((deed) => deed.depth))),
  }
}

function money(deeds: readonly Deed[]): [string, Value][] {
  return currencies.map((currency) => {
    const millionths = deeds.reduce((sum, { cost }) => sum + (cost?.currency === currency ? cost.micros : 0n), 0n)
    // Four places, rounded up.
    const places = millionths % 100n === 0n ? millionths / 100n : millionths / 100n + 1n
    return [currency, { decimal: places }]
  })
}

const record = (members: [string, Value][]): Value => ({ members: new Map(members) })

/** As if nothing were known of it: then nothing has a last time. */
export function forgotten(fact: string, value: Value): Value {
  if (fact === 'last') return record([])
  if (Array.isArray(value)) return []
  if (typeof value === 'bigint') return 0n
  if (typeof value !== 'object' || !('members' in value)) return { decimal: 0n }
  const members = Array.from(value.members, ([name, member]): [string, Value] => [name, forgotten('', member)])
  return record(members)
}
