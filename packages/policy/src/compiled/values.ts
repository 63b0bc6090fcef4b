import type { EntityName } from '../entity-name.ts'
import { keyOf } from '../schema-shapes.ts'

/** A Long or the integer in an extension value: a bigint only beyond 53 bits, so that `===` compares two of them. */
export type Long = number | bigint

/** A value of Cedar. JavaScript's own types keep booleans, Longs and strings. */
export type Value = boolean | Long | string | Entity | CedarSet | CedarRecord | Extension

/** A reference to an entity, which need not exist. */
export class Entity implements EntityName {
  readonly type: string
  readonly id: string
  readonly key: string

  constructor({ type, id }: EntityName) {
    this.type = type
    this.id = id
    this.key = keyOf(this)
  }
}

/** Its members are in a Map, because a name may be `__proto__`. */
export class CedarRecord {
  readonly members: ReadonlyMap<string, Value>

  constructor(members: ReadonlyMap<string, Value>) {
    this.members = members
  }
}

export type ExtensionKind = 'decimal' | 'datetime' | 'duration' | 'ipaddr'

/** `value`: ten thousandths, milliseconds, or the canonical text of an address with its prefix. */
export class Extension {
  readonly kind: ExtensionKind
  readonly value: Long | string

  constructor(kind: ExtensionKind, value: Long | string) {
    this.kind = kind
    this.value = value
  }
}

type Primitive = boolean | Long | string

/** Membership takes constant time, so that no sets that a caller sends take quadratic time to compare. */
export class CedarSet {
  readonly elements: readonly Value[]
  #index: { primitives: Set<Primitive>; others: Set<string> } | undefined

  constructor(elements: readonly Value[]) {
    this.elements = elements
  }

  has(value: Value): boolean {
    const { primitives, others } = this.#indexed()
    return typeof value === 'object' ? others.has(spelled(value)) : primitives.has(value)
  }

  includes({ elements }: CedarSet): boolean {
    return elements.every((element) => this.has(element))
  }

  meets({ elements }: CedarSet): boolean {
    return elements.some((element) => this.has(element))
  }

  /** Of different elements. */
  get size(): number {
    const { primitives, others } = this.#indexed()
    return primitives.size + others.size
  }

  /** The spellings of the elements, sorted, each once. */
  spellings(): string[] {
    const { primitives, others } = this.#indexed()
    return [...Array.from(primitives, spelled), ...others].sort()
  }

  #indexed() {
    if (this.#index) return this.#index
    const [primitives, others] = [new Set<Primitive>(), new Set<string>()]
    for (const element of this.elements)
      if (typeof element === 'object') others.add(spelled(element))
      else primitives.add(element)
    this.#index = { primitives, others }
    return this.#index
  }
}

/** Cedar's `==`, which is defined for values of all types. */
export function isSame(a: Value, b: Value): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object') return false
  if (a instanceof Entity) return b instanceof Entity && a.key === b.key
  if (a instanceof CedarRecord) return b instanceof CedarRecord && isSameRecord(a, b)
  if (a instanceof CedarSet) return b instanceof CedarSet && a.size === b.size && a.includes(b)
  return b instanceof Extension && a.kind === b.kind && a.value === b.value
}

function isSameRecord(a: CedarRecord, b: CedarRecord): boolean {
  if (a.members.size !== b.members.size) return false
  for (const [name, member] of a.members) {
    const other = b.members.get(name)
    if (other === undefined || !isSame(member, other)) return false
  }
  return true
}

/** Equal texts for equal values, and different texts for all others. */
function spelled(value: Value): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value !== 'object') return String(value)
  if (value instanceof Entity) return `e${JSON.stringify(value.key)}`
  if (value instanceof CedarSet) return `[${value.spellings().join()}]`
  if (value instanceof Extension) return `${value.kind}(${value.value})`
  const members = Array.from(value.members, ([name, member]) => `${JSON.stringify(name)}:${spelled(member)}`)
  return `{${members.sort().join()}}`
}
