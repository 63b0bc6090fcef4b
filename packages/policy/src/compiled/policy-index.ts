import type { CompiledPolicy } from './compiled-policy.ts'
import type { Situation } from './situation.ts'
import type { Entity } from './values.ts'

type Var = 'principal' | 'action' | 'resource'
const vars: readonly Var[] = ['resource', 'principal', 'action']

/** By what a policy is found: an entity, one that it is in, or its type. */
type By = 'is' | 'within' | 'type'

/** A place of the index, and the names in it under which a policy stands. */
interface Handle {
  place: `${Var} ${By}`
  names: readonly string[]
}

/**
 * Finds the policies that may apply by their scopes, so that the time does not grow with policies about other things. Each policy stands
 * where the fewest others do, so it does not matter by what a set distinguishes its policies.
 */
export class PolicyIndex {
  readonly #places = new Map<Handle['place'], Map<string, CompiledPolicy[]>>()
  /** Those whose scopes take everything. */
  readonly #everywhere: CompiledPolicy[] = []

  constructor(policies: Iterable<CompiledPolicy>) {
    const all = Array.from(policies, (policy) => ({ policy, handles: handlesOf(policy) }))
    const sizes = new Map<string, number>()
    const spelled = (place: string, name: string) => `${place} ${name}`
    for (const { handles } of all)
      for (const { place, names } of handles)
        for (const name of names) sizes.set(spelled(place, name), (sizes.get(spelled(place, name)) ?? 0) + 1)
    const sizeOf = ({ place, names }: Handle) =>
      names.reduce((size, name) => size + (sizes.get(spelled(place, name)) ?? 0), 0)
    for (const { policy, handles } of all) {
      const [first, ...others] = handles
      if (first === undefined) this.#everywhere.push(policy)
      else
        this.#put(
          policy,
          others.reduce((least, each) => (sizeOf(each) < sizeOf(least) ? each : least), first),
        )
    }
  }

  /** All policies that may apply, each once, and others. */
  candidates(situation: Situation): readonly CompiledPolicy[] {
    const found = this.#everywhere.slice()
    for (const of of vars) {
      const entity = situation[of]
      this.#add(found, `${of} is`, entity.key)
      this.#add(found, `${of} type`, entity.type)
      this.#addWithin(found, of, entity, situation)
    }
    return found
  }

  #addWithin(found: CompiledPolicy[], of: Var, { key }: Entity, { entity }: Situation): void {
    const place = this.#places.get(`${of} within`)
    if (place === undefined) return
    // A policy for several groups stands in each.
    const each = new Set(place.get(key))
    for (const group of entity(key)?.ancestors ?? []) for (const policy of place.get(group) ?? []) each.add(policy)
    for (const policy of each) found.push(policy)
  }

  #add(found: CompiledPolicy[], place: Handle['place'], name: string): void {
    for (const policy of this.#places.get(place)?.get(name) ?? []) found.push(policy)
  }

  #put(policy: CompiledPolicy, { place, names }: Handle): void {
    const named = this.#places.get(place) ?? new Map<string, CompiledPolicy[]>()
    this.#places.set(place, named)
    for (const name of new Set(names)) {
      const others = named.get(name)
      if (others === undefined) named.set(name, [policy])
      else others.push(policy)
    }
  }
}

function handlesOf(policy: CompiledPolicy): Handle[] {
  return vars.flatMap((of): Handle[] => {
    const { is, within, type } = policy[of]
    return [
      ...(is === undefined ? [] : [{ place: `${of} is`, names: [is.key] } as const]),
      ...(within === undefined ? [] : [{ place: `${of} within`, names: within.map(({ key }) => key) } as const]),
      ...(type === undefined ? [] : [{ place: `${of} type`, names: [type] } as const]),
    ]
  })
}
