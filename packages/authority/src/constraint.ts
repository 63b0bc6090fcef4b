import { canonicalDecimal, compareDecimals, decimalOf, parseDecimal } from './decimal.ts'
import { prefixWithin, startsInside } from './path.ts'
import type { Constraint } from './schema.ts'

/**
 * Whether an argument satisfies every comparison of a constraint. An absent argument, or one of a type that is not compared, does not.
 *
 * `eq` and `in` compare as decimals if both sides can be read as decimals, so `"500"` equals `500`, `500.0` and `"500.00"`. All other
 * strings are compared code unit by code unit, without normalising or folding case; booleans with booleans. `min` and `max`, both
 * inclusive, compare numbers and decimal strings; a `max` without a `min` begins at 0. `prefix` compares strings; a prefix that ends in `/`
 * compares paths.
 */
export function satisfies(value: unknown, constraint: Constraint): boolean {
  const { eq, in: listed, max, prefix } = constraint
  const min = floorOf(constraint)
  const key = valueKey(value)
  return (
    key !== undefined &&
    (eq === undefined || key === valueKey(eq)) &&
    (listed === undefined || listed.some((item) => key === valueKey(item))) &&
    (min === undefined || isAtLeast(value, min)) &&
    (max === undefined || isAtMost(value, max)) &&
    (prefix === undefined || (typeof value === 'string' && startsInside(value, prefix)))
  )
}

/**
 * Whether every value that satisfies `child` satisfies `parent`. Each comparison of the parent must follow from a single one of the child;
 * a comparison that would follow only from several together is refused.
 */
export function impliesConstraint(child: Constraint, parent: Constraint): boolean {
  const { eq, in: listed, max, prefix } = parent
  const [min, ownMin] = [floorOf(parent), floorOf(child)]
  // Each list names everything that can satisfy the child, so it is enough if the parent accepts every value of one list.
  const lists = [child.eq === undefined ? undefined : [child.eq], child.in].filter((list) => list !== undefined)
  const everyValue = (holds: (value: string | boolean) => boolean): boolean => lists.some((list) => list.every(holds))
  const allowed = listed === undefined ? undefined : new Set(listed.map(valueKey))
  return (
    (eq === undefined || everyValue((value) => sameValue(value, eq))) &&
    (allowed === undefined || everyValue((value) => allowed.has(valueKey(value)))) &&
    (min === undefined || (ownMin !== undefined && isAtLeast(ownMin, min)) || everyValue((v) => isAtLeast(v, min))) &&
    (max === undefined ||
      (child.max !== undefined && isAtMost(child.max, max)) ||
      everyValue((v) => isAtMost(v, max))) &&
    (prefix === undefined ||
      (child.prefix !== undefined && prefixWithin(child.prefix, prefix)) ||
      everyValue((v) => alwaysStarts(v, prefix)))
  )
}

/** A constraint that only values satisfying both satisfy; undefined if there are clearly none. */
export function bothConstraints(a: Constraint, b: Constraint): Constraint | undefined {
  if (a.eq !== undefined && b.eq !== undefined && !sameValue(a.eq, b.eq)) return undefined
  const eq = a.eq ?? b.eq
  const inBoth = a.in === undefined || b.in === undefined ? (a.in ?? b.in) : common(a.in, b.in)
  const floor = tighter(floorOf(a), floorOf(b), isAtLeast)
  const max = tighter(a.max, b.max, isAtMost)
  // If neither constraint states that it begins at 0, a `max` already implies it.
  const min = floor === '0' && a.min !== '0' && b.min !== '0' ? undefined : floor
  const prefix = tighter(a.prefix, b.prefix, prefixWithin)
  if (prefix !== undefined && !(prefixWithin(prefix, a.prefix ?? '') && prefixWithin(prefix, b.prefix ?? '')))
    return undefined
  if (floor !== undefined && max !== undefined && !isAtLeast(max, floor)) return undefined
  const rest: Constraint = {
    ...(min === undefined ? {} : { min }),
    ...(max === undefined ? {} : { max }),
    ...(prefix === undefined ? {} : { prefix }),
  }
  // A string prefix says nothing about the number that an `eq` also matches, so it excludes no value here.
  const kept = inBoth?.filter((value) => (eq === undefined || sameValue(value, eq)) && inBounds(value, rest))
  if (kept?.length === 0 || (eq !== undefined && !inBounds(eq, rest))) return undefined
  return { ...(eq === undefined ? {} : { eq }), ...(kept === undefined ? {} : { in: kept }), ...rest }
}

/**
 * The least number that a constraint accepts. An author who allows at most 500 has an amount in mind. -10,000 is not such an amount: it
 * books money in the other direction, so it is accepted only if a `min` says so.
 */
function floorOf({ min, max }: Constraint): string | undefined {
  return min ?? (max === undefined ? undefined : '0')
}

/** One key for all spellings of a value; undefined for values that never equal anything: null, objects, inexact numbers. */
function valueKey(value: unknown): string | undefined {
  if (typeof value === 'boolean') return `boolean ${value}`
  const decimal = decimalOf(value)
  if (decimal !== undefined) return `decimal ${canonicalDecimal(decimal)}`
  return typeof value === 'string' ? `string ${value}` : undefined
}

function sameValue(a: string | boolean, b: string | boolean): boolean {
  return valueKey(a) === valueKey(b)
}

function isAtLeast(value: unknown, bound: string): boolean {
  return ordered(value, bound, (order) => order >= 0)
}

function isAtMost(value: unknown, bound: string): boolean {
  return ordered(value, bound, (order) => order <= 0)
}

function ordered(value: unknown, bound: string, holds: (order: number) => boolean): boolean {
  const decimal = decimalOf(value)
  const limit = parseDecimal(bound)
  return decimal !== undefined && limit !== undefined && holds(compareDecimals(decimal, limit))
}

/** `eq: "500"` also admits the number 500 and `"500.0"`: only a string that is not a decimal has a single spelling. */
function alwaysStarts(value: string | boolean, prefix: string): boolean {
  return typeof value === 'string' && parseDecimal(value) === undefined && startsInside(value, prefix)
}

function common(a: readonly (string | boolean)[], b: readonly (string | boolean)[]): (string | boolean)[] {
  const keys = new Set(b.map(valueKey))
  return a.filter((value) => keys.has(valueKey(value)))
}

function tighter(
  a: string | undefined,
  b: string | undefined,
  isTighter: (a: string, b: string) => boolean,
): string | undefined {
  return a === undefined || b === undefined ? (a ?? b) : isTighter(a, b) ? a : b
}

function inBounds(value: string | boolean, constraint: Constraint): boolean {
  const { max } = constraint
  const min = floorOf(constraint)
  return (min === undefined || isAtLeast(value, min)) && (max === undefined || isAtMost(value, max))
}
