import { preparsePolicySet } from './cedar.ts'
import type { EntityName } from './entity-name.ts'
import { namesIn } from './entity-store.ts'
import { type Policy, type PolicySet, textsOf } from './policy-set.ts'
import { type Preparsed, preparse } from './preparse.ts'
import { keyOf } from './schema-shapes.ts'

/**
 * What a policy's scope requires: of each of these sets, the request must have at least one mark. To a request that has none, the policy
 * does not apply, and the request cannot make it err.
 */
interface Scope {
  policy: Policy
  needs: readonly ReadonlySet<string>[]
}

type Above = (name: EntityName) => readonly EntityName[]

export interface SliceOptions {
  /** An action's groups, at any distance. */
  groupsOf: Above
  /** What a principal or resource is in, at any distance, in every request; if not given, its ancestors are unknown. */
  ancestorsOf?: Above
  /** All slices together hold at most this many times the number of policies in the set. */
  sets?: number
}

/**
 * Divides a set into slices by what scopes say about principal, action and resource. Cedar clones the policies for each question, so a
 * decision costs in proportion to their number. A slice holds every policy whose scope may match, so it answers like the whole set.
 */
export class PolicySlices {
  readonly #name: string
  readonly #whole: Preparsed
  readonly #scopes: readonly Scope[]
  readonly #options: SliceOptions
  /** Marks that some scope requires. All others are equivalent, so they get no slice of their own. */
  readonly #named: ReadonlySet<string>
  /** Unused for longest first. `name`: undefined means the whole set. */
  readonly #slices = new Map<string, { name: string | undefined; size: number }>()
  readonly #most: number
  #held = 0
  /** Names that hold nothing any more, and the number of names in use: the wasm keeps what it was given until the name is used again. */
  readonly #free: string[] = []
  #names = 0

  /** `name`, and every name that begins with it, belongs to this object while it answers: as for `preparse`. */
  constructor(set: Pick<PolicySet, 'schema' | 'policies'>, name: string, options: SliceOptions) {
    this.#most = (options.sets ?? 16) * set.policies.size
    this.#name = name
    this.#whole = preparse(set, name)
    this.#options = options
    this.#scopes = Array.from(set.policies.values(), (policy) => scopeOf(policy, options.ancestorsOf !== undefined))
    this.#named = new Set(this.#scopes.flatMap(({ needs }) => needs.flatMap((marks) => [...marks])))
  }

  /** Where to ask about such a request. Ask at once: the next call may replace it. */
  of(principal: EntityName, action: EntityName, resource: EntityName): Preparsed {
    const { groupsOf, ancestorsOf } = this.#options
    const marks = [
      ...[action, ...groupsOf(action)].map((each) => called(each)),
      ...marksOf('principal', principal, ancestorsOf),
      ...marksOf('resource', resource, ancestorsOf),
    ].filter((mark) => this.#named.has(mark))
    const key = JSON.stringify(marks)
    const known = this.#slices.get(key)
    const slice = known ?? this.#make(new Set(marks))
    // Moved to the end: recently used slices stay.
    if (known) this.#slices.delete(key)
    this.#slices.set(key, slice)
    return slice.name === undefined ? this.#whole : { ...this.#whole, policies: slice.name }
  }

  #make(marks: ReadonlySet<string>): { name: string | undefined; size: number } {
    const fitting = this.#scopes.filter(({ needs }) => needs.every((any) => !any.isDisjointFrom(marks)))
    const size = fitting.length + 1
    if (!this.#isWorth(size)) return this.#hold(undefined, 1)
    this.#makeRoom(size)
    const name = this.#free.pop() ?? `${this.#name} ${++this.#names}`
    const made = () => ({ staticPolicies: textsOf(fitting.map(({ policy }) => policy)) })
    if (preparsePolicySet(name, made).type === 'success') return this.#hold(name, size)
    this.#free.push(name)
    return this.#hold(undefined, 1)
  }

  /**
   * Half as many policies are hardly cheaper, and a slice must be parsed first. If another slice would have to make room for it, it must be
   * small.
   */
  #isWorth(size: number): boolean {
    const part = this.#held + size <= this.#most ? 2 : 64
    return size <= this.#most && (size - 1) * part <= this.#scopes.length
  }

  #makeRoom(size: number): void {
    for (const [key, old] of this.#slices) {
      if (this.#held + size <= this.#most) return
      this.#slices.delete(key)
      this.#held -= old.size
      if (old.name !== undefined) this.#free.push(old.name)
    }
  }

  #hold(name: string | undefined, size: number) {
    if (name === undefined) this.#makeRoom(size)
    this.#held += size
    return { name, size }
  }
}

type Var = 'principal' | 'resource'
const called = (action: EntityName) => `action ${keyOf(action)}`
const isOfType = (of: Var, type: string) => `${of} is ${type}`
const isIt = (of: Var, name: EntityName) => `${of} == ${keyOf(name)}`
const isIn = (of: Var, name: EntityName) => `${of} in ${keyOf(name)}`

function marksOf(of: Var, name: EntityName, ancestorsOf: Above | undefined): string[] {
  const within = ancestorsOf === undefined ? [] : [name, ...ancestorsOf(name)]
  return [isOfType(of, name.type), isIt(of, name), ...within.map((each) => isIn(of, each))]
}

function scopeOf(policy: Policy, knowsAncestors: boolean): Scope {
  const { principal, action, resource } = policy.json
  const about = needsOf('resource', resource, knowsAncestors)
  const by = needsOf('principal', principal, knowsAncestors)
  // A policy that names both is indexed by the resource: a slice for each pair of resource and principal would rarely be reused.
  const whose = about.name === undefined ? by.name : undefined
  const needs = [about.name, about.type, whose, by.type].filter((mark) => mark !== undefined)
  const actions = action.op === 'All' ? [] : [new Set(namesIn(action).map(called))]
  return { policy, needs: [...actions, ...needs.map((mark) => new Set([mark]))] }
}

/** `in` says nothing about types: members of a group may have any type. */
function needsOf(
  of: Var,
  constraint: Policy['json']['principal'],
  knowsAncestors: boolean,
): { name?: string; type?: string } {
  if (constraint.op === 'All') return {}
  const [name] = namesIn(constraint)
  if (constraint.op === '==') return name === undefined ? {} : { name: isIt(of, name), type: isOfType(of, name.type) }
  const group = name === undefined || !knowsAncestors ? {} : { name: isIn(of, name) }
  return constraint.op === 'is' ? { ...group, type: isOfType(of, constraint.entity_type) } : group
}
