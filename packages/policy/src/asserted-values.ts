import { ServiceError } from '@bailiwick/errors'
import { type ExactInteger, exactInteger } from './exact-json.ts'
import type { Shape } from './schema-shapes.ts'

/** A value that is not of its declared type: the request is denied. */
export class TypeMismatch extends Error {}

const escapes: ReadonlySet<string> = new Set(['__entity', '__extn', '__expr'])

/**
 * A caller's JSON as Cedar's, typed by the schema: references come as `{"type","id"}`, extension values as strings. Members
 * that it does not declare are dropped at every depth, and so is null, which is absent. Throws `TypeMismatch`.
 */
export function typed(value: unknown, shape: Shape, typeOf: (type: string) => string): unknown {
  switch (shape.kind) {
    case 'Long':
      return integer(value)
    case 'String':
    case 'Bool':
      return typeof value === (shape.kind === 'String' ? 'string' : 'boolean') ? value : mismatch()
    case 'Extension':
      return typeof value === 'string' ? { __extn: { fn: shape.construct, arg: value } } : mismatch()
    case 'Entity': {
      const { type, id } = isObject(value) ? value : mismatch()
      if (typeof type !== 'string' || typeof id !== 'string' || typeOf(type) !== shape.type) return mismatch()
      return { __entity: { type: shape.type, id } }
    }
    case 'Set':
      return Array.isArray(value) ? value.map((element) => typed(element, shape.element, typeOf)) : mismatch()
    case 'Record': {
      if (!isObject(value)) return mismatch()
      const members = Object.entries(value).flatMap(([name, member]): [string, unknown][] => {
        const declared = shape.members.get(name)
        return declared === undefined || member === null ? [] : [[name, typed(member, declared, typeOf)]]
      })
      return Object.fromEntries(members)
    }
  }
}

/**
 * Without a schema: as it came, but for null members, which are absent. Throws `request_malformed` for a member that would be a
 * reference or an extension value to Cedar: a caller may not say what type a value has.
 */
export function untyped(value: unknown): unknown {
  if (typeof value === 'number' || typeof value === 'bigint') return integer(value)
  if (Array.isArray(value)) return value.map(untyped)
  if (!isObject(value)) return value
  const members = Object.entries(value).filter(([, member]) => member !== null)
  const forged = members.find(([name]) => escapes.has(name))
  if (forged) throw new ServiceError('request_malformed', `a member named ${forged[0]}`)
  return Object.fromEntries(members.map(([name, member]) => [name, untyped(member)]))
}

/** A Long. Cedar has no fractions; beyond 53 bits only what kept its digits is what the caller sent. */
function integer(value: unknown): number | ExactInteger {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  if (typeof value === 'bigint' && BigInt.asIntN(64, value) === value) return exactInteger(value)
  return mismatch()
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function mismatch(): never {
  throw new TypeMismatch()
}
