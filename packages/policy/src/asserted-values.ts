import { ServiceError } from '@bailiwick/errors'
import { type ExactInteger, exactInteger } from './exact-json.ts'
import type { Shape } from './schema-shapes.ts'

/** A value does not have its declared type: the request is denied. The message says which type it lacks. */
export class TypeMismatch extends Error {
  /** The path to the value, from the outside in. */
  readonly path: string[] = []
}

/** Reads the value at this position. */
export function at<T>(name: string | number, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof TypeMismatch) error.path.unshift(String(name))
    throw error
  }
}

const escapes: ReadonlySet<string> = new Set(['__entity', '__extn', '__expr'])

/**
 * Converts a caller's JSON to Cedar's, typed by the schema: references are written as `{"type","id"}`, extension values as strings. Members
 * that the schema does not declare are dropped at every depth, and so is null, which counts as absent. Throws `TypeMismatch`.
 */
export function typed(value: unknown, shape: Shape, typeOf: (type: string) => string): unknown {
  switch (shape.kind) {
    case 'Long':
      return integer(value)
    case 'String':
    case 'Bool':
      return typeof value === (shape.kind === 'String' ? 'string' : 'boolean') ? value : mismatch(shape)
    case 'Extension':
      return typeof value === 'string' ? { __extn: { fn: shape.construct, arg: value } } : mismatch(shape)
    case 'Entity': {
      const { type, id } = isObject(value) ? value : mismatch(shape)
      if (typeof type !== 'string' || typeof id !== 'string' || typeOf(type) !== shape.type) return mismatch(shape)
      return { __entity: { type: shape.type, id } }
    }
    case 'Set':
      if (!Array.isArray(value)) return mismatch(shape)
      return value.map((element, n) => at(n, () => typed(element, shape.element, typeOf)))
    case 'Record': {
      if (!isObject(value)) return mismatch(shape)
      const members = Object.entries(value).flatMap(([name, member]): [string, unknown][] => {
        const declared = shape.members.get(name)
        return declared === undefined || member === null
          ? []
          : [[name, at(name, () => typed(member, declared, typeOf))]]
      })
      return Object.fromEntries(members)
    }
  }
}

/**
 * Without a schema: the value as received, without null members, which count as absent. Throws `request_malformed` for a member that Cedar
 * would read as a reference or an extension value: a caller may not say what type a value has.
 */
export function untyped(value: unknown): unknown {
  if (typeof value === 'number' || typeof value === 'bigint') return integer(value)
  if (Array.isArray(value)) return value.map((element, n) => at(n, () => untyped(element)))
  if (!isObject(value)) return value
  const members = Object.entries(value).filter(([, member]) => member !== null)
  const forged = members.find(([name]) => escapes.has(name))
  if (forged) throw new ServiceError('request_malformed', `a member named ${forged[0]}`)
  return Object.fromEntries(members.map(([name, member]) => [name, at(name, () => untyped(member))]))
}

/** A Long. Cedar has no fractions; beyond 53 bits, only a number that kept its digits is the number that the caller sent. */
function integer(value: unknown): number | ExactInteger {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  if (typeof value === 'bigint' && BigInt.asIntN(64, value) === value) return exactInteger(value)
  return mismatch({ kind: 'Long' })
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function mismatch(shape: Shape): never {
  throw new TypeMismatch(`no ${shape.kind === 'Extension' || shape.kind === 'Entity' ? shape.type : shape.kind}`)
}
