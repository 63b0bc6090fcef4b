import { preparsePolicySet } from '@cedar-policy/cedar-wasm/nodejs'
import { namesIn } from './entity-store.ts'
import type { EntityName } from './policy-engine.ts'
import { type Policy, type PolicySet, textsOf } from './policy-set.ts'
import { type Preparsed, preparse } from './preparse.ts'
import { keyOf } from './schema-shapes.ts'

/** What a policy's scope asks for; undefined: anything. A request that does not fit is none of its business, and cannot make it err. */
interface Scope {
  policy: Policy
  principal: string | undefined
  actions: ReadonlySet<string> | undefined
  resource: string | undefined
}

/**
 * A set in slices by the types of principal and resource and by the action: Cedar clones the policies that it is asked of, so a
 * decision costs as much as these are many. A slice holds every policy whose scope may fit, so it answers as the set does.
 */
export class PolicySlices {
  readonly #name: string
  readonly #whole: Preparsed
  readonly #scopes: readonly Scope[]
  readonly #groupsOf: (action: EntityName) => readonly EntityName[]
  /** Types and actions that some scope names; all others are alike, and nobody makes a slice of each. */
  readonly #named: ReadonlySet<string>
  readonly #slices = new Map<string, Preparsed>()
  readonly #most: number
  #held = 0

  /**
   * Under `name`, as `preparse`; a slice's name says what is in it, so that two of the same set may share a name. `groupsOf`: an
   * action's groups, at any distance. All slices together hold at most `sets` times as many policies as the set.
   */
  constructor(
    set: Pick<PolicySet, 'schema' | 'policies'>,
    name: string,
    groupsOf: (action: EntityName) => readonly EntityName[],
    sets = 16,
  ) {
    this.#most = sets * set.policies.size
    this.#name = name
    this.#whole = preparse(set, name)
    this.#scopes = Array.from(set.policies.values(), scopeOf)
    this.#groupsOf = groupsOf
    this.#named = new Set(
      this.#scopes.flatMap(({ principal, actions, resource }) => [
        ...[principal, resource].filter((type) => type !== undefined),
        ...(actions ?? []),
      ]),
    )
  }

  /** Where to ask about such a request. */
  of(principal: EntityName, action: EntityName, resource: EntityName): Preparsed {
    const actions = [action, ...this.#groupsOf(action)].map(keyOf).filter((key) => this.#named.has(key))
    const types = [principal, resource].map(({ type }) => (this.#named.has(type) ? type : ''))
    const key = JSON.stringify([...types, ...actions])
    const known = this.#slices.get(key)
    if (known) return known
    const made = this.#make(key, new Set(actions), principal.type, resource.type)
    this.#slices.set(key, made)
    return made
  }

  #make(key: string, actions: ReadonlySet<string>, principal: string, resource: string): Preparsed {
    const fitting = this.#scopes.filter(
      (scope) =>
        (scope.principal ?? principal) === principal &&
        (scope.resource ?? resource) === resource &&
        (scope.actions === undefined || !scope.actions.isDisjointFrom(actions)),
    )
    // Half as many are hardly cheaper, and a slice costs its parsing first.
    const small = fitting.length * 2 <= this.#scopes.length && this.#held + fitting.length <= this.#most
    if (!small) return this.#whole
    const policies = `${this.#name} ${key}`
    const staticPolicies = textsOf(fitting.map(({ policy }) => policy))
    if (preparsePolicySet(policies, { staticPolicies }).type === 'failure') return this.#whole
    this.#held += fitting.length
    return { ...this.#whole, policies }
  }
}

function scopeOf(policy: Policy): Scope {
  const { principal, action, resource } = policy.json
  const actions = action.op === 'All' ? undefined : new Set(namesIn(action).map(keyOf))
  return { policy, principal: typeIn(principal), actions, resource: typeIn(resource) }
}

/** `in` says nothing of it: whoever is in a group may be of any type. */
function typeIn(constraint: Policy['json']['principal']): string | undefined {
  if (constraint.op === 'is') return constraint.entity_type
  return constraint.op === '==' ? namesIn(constraint)[0]?.type : undefined
}
