import { isExactInteger } from '../exact-json.ts'
import { type Shape, type Shapes, within } from '../schema-shapes.ts'
import { constructors } from './extensions.ts'
import { longOf } from './longs.ts'
import { CedarRecord, CedarSet, Entity, type Value } from './values.ts'

/**
 * Reads a value from Cedar's JSON. undefined: it is not certain that Cedar reads the same, or that it reads it at all. Then the reference
 * is asked, so a reader may refuse what Cedar takes, and never takes what Cedar refuses.
 */
export type Read = (json: unknown) => Value | undefined

type Json = Readonly<Record<string, unknown>>

/** Cedar's own limit is 128, of which the request around the value takes some. */
const mostLevels = 32

/** Members that Cedar may take for an escape. */
const escapes: ReadonlySet<string> = new Set(['__entity', '__extn', '__expr'])

/** Written as JSON member by member; any other object may be written in a way of its own. */
function isPlain(json: unknown): json is Json {
  if (typeof json !== 'object' || json === null) return false
  const prototype = Object.getPrototypeOf(json)
  const isObject = prototype === Object.prototype || (prototype === null && !isExactInteger(json))
  return isObject && typeof (json as Json).toJSON !== 'function'
}

/** An object with these members and no others. */
function exactly<K extends string>(json: unknown, ...names: K[]): Record<K, unknown> | undefined {
  if (!isPlain(json) || !names.every((name) => Object.hasOwn(json, name))) return undefined
  let others = -names.length
  // A member that is undefined is left out where JSON is written.
  for (const name of Object.keys(json)) if (json[name] !== undefined) others++
  return others === 0 ? (json as Record<K, unknown>) : undefined
}

/** Of a lone surrogate, JSON for Cedar has no spelling. */
export const readText = (json: unknown): string | undefined =>
  typeof json === 'string' && json.isWellFormed() ? json : undefined

/** A type's name without what Cedar reserves. A name that is unusual in another way also goes to the reference. */
const typeName = /^[_a-zA-Z][_a-zA-Z0-9]*(::[_a-zA-Z][_a-zA-Z0-9]*)*$/
const reserved = /(^|::)(true|false|if|then|else|in|is|like|has|__cedar)(::|$)/

/** The types and ids that may be named: undefined for a name that Cedar may refuse. */
export type ReadName = (json: unknown) => Entity | undefined

function nameOf(json: unknown): Entity | undefined {
  const named = exactly(exactly(json, '__entity')?.__entity ?? json, 'type', 'id')
  const [type, id] = [readText(named?.type), readText(named?.id)]
  return type === undefined || id === undefined ? undefined : new Entity({ type, id })
}

export const readAnyName: ReadName = (json) => {
  const name = nameOf(json)
  return name !== undefined && typeName.test(name.type) && !reserved.test(name.type) ? name : undefined
}

function readLong(json: unknown): Value | undefined {
  if (typeof json === 'number') return Number.isSafeInteger(json) ? json : undefined
  if (!isExactInteger(json)) return undefined
  // Cedar reads `-0` as a fraction.
  const digits = JSON.stringify(json)
  return /^(0|-?[1-9][0-9]{0,18})$/.test(digits) ? longOf(BigInt(digits)) : undefined
}

function readList(json: unknown, read: Read): CedarSet | undefined {
  if (!Array.isArray(json) || Object.hasOwn(json, 'toJSON')) return undefined
  const elements: Value[] = []
  for (const each of json) {
    const element = read(each)
    if (element === undefined) return undefined
    elements.push(element)
  }
  return new CedarSet(elements)
}

/** The members of a record, or the attributes of an entity; `readOf`: undefined for a member that must not be there. */
function readMembers(json: unknown, readOf: (name: string) => Read | undefined): Map<string, Value> | undefined {
  if (!isPlain(json)) return undefined
  const members = new Map<string, Value>()
  for (const name of Object.keys(json)) {
    const each = json[name]
    if (each === undefined) continue
    if (escapes.has(name) || !name.isWellFormed()) return undefined
    const value = readOf(name)?.(each)
    if (value === undefined) return undefined
    members.set(name, value)
  }
  return members
}

/** Without a schema. */
function anyValue(levels: number): Read {
  return (json) => {
    if (typeof json === 'boolean') return json
    if (typeof json === 'string') return readText(json)
    if (typeof json === 'number' || isExactInteger(json)) return readLong(json)
    if (levels <= 0) return undefined
    const inner = anyValue(levels - 1)
    if (Array.isArray(json)) return readList(json, inner)
    if (isPlain(json) && Object.hasOwn(json, '__entity')) return exactly(json, '__entity') && readAnyName(json)
    if (isPlain(json) && Object.hasOwn(json, '__extn')) return readCall(json)
    const members = readMembers(json, () => inner)
    return members && new CedarRecord(members)
  }
}

/** `{"__extn":{"fn","arg"}}`; `fn`: the one that must be called. */
function readCall(json: unknown, fn?: string): Value | undefined {
  const call = exactly(exactly(json, '__extn')?.__extn, 'fn', 'arg')
  if (typeof call?.fn !== 'string' || (fn !== undefined && call.fn !== fn)) return undefined
  const text = readText(call.arg)
  return text === undefined ? undefined : constructors.get(call.fn)?.(text)
}

/** Reads the members of a record. */
export type ReadAll = (json: unknown) => ReadonlyMap<string, Value> | undefined

export const readAnything: ReadAll = (json) => readMembers(json, () => anyValue(mostLevels))

/** Readers of the types of one schema. */
export class TypedReaders {
  /** The ids of the types that admit no others: those that list theirs, and actions. */
  readonly #ids = new Map<string, Set<string>>()
  readonly #types = new Set<string>()

  constructor({ json, actions }: Pick<Shapes, 'json' | 'actions'>) {
    for (const [space, { entityTypes }] of Object.entries(json))
      for (const [name, declared] of Object.entries(entityTypes)) {
        this.#types.add(within(space, name))
        if ('enum' in declared) this.#ids.set(within(space, name), new Set(declared.enum))
      }
    for (const { type, id } of actions) this.#ids.set(type, (this.#ids.get(type) ?? new Set()).add(id))
  }

  /** A name of a declared type, which the type admits. */
  readonly name: ReadName = (json) => {
    const name = nameOf(json)
    if (name === undefined) return undefined
    const ids = this.#ids.get(name.type)
    return (ids === undefined ? this.#types.has(name.type) : ids.has(name.id)) ? name : undefined
  }

  /** Of a shape that is no record: nothing is certain. */
  members(shape: Shape): ReadAll {
    if (shape.kind !== 'Record') return () => undefined
    return this.#members(shape, mostLevels)
  }

  /** Of tags: all have one type. */
  tags(shape: Shape): ReadAll {
    const read = this.#value(shape, mostLevels)
    return (json) => readMembers(json, () => read)
  }

  #members({ members, optional }: Shape & { kind: 'Record' }, levels: number): ReadAll {
    const readers = new Map(Array.from(members, ([name, shape]) => [name, this.#value(shape, levels - 1)]))
    const required = Array.from(members.keys()).filter((name) => !optional.has(name))
    return (json) => {
      const read = readMembers(json, (name) => readers.get(name))
      return read !== undefined && required.every((name) => read.has(name)) ? read : undefined
    }
  }

  #value(shape: Shape, levels: number): Read {
    if (levels <= 0) return () => undefined
    switch (shape.kind) {
      case 'Bool':
        return (json) => (typeof json === 'boolean' ? json : undefined)
      case 'Long':
        return readLong
      case 'String':
        return readText
      case 'Extension': {
        const construct = constructors.get(shape.construct)
        return (json) =>
          typeof json === 'string'
            ? readText(json) === undefined
              ? undefined
              : construct?.(json)
            : readCall(json, shape.construct)
      }
      case 'Entity':
        return (json) => {
          const name = this.name(json)
          return name?.type === shape.type ? name : undefined
        }
      case 'Set': {
        const read = this.#value(shape.element, levels - 1)
        return (json) => readList(json, read)
      }
      case 'Record': {
        const read = this.#members(shape, levels)
        return (json) => {
          const members = read(json)
          return members && new CedarRecord(members)
        }
      }
    }
  }
}
