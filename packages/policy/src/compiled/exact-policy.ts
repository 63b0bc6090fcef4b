import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import { policyToJson } from '../cedar.ts'
import type { Policy } from '../policy-set.ts'
import { longOf } from './longs.ts'
import { NotCompiled } from './situation.ts'

/** Strings, comments, names with their digits, and numbers that a double may not hold. */
const token = /"(?:[^"\\]|\\.)*"|\/\/[^\n]*|[A-Za-z_][A-Za-z0-9_]*|[0-9]{16,}/gs

/** The least number of 15 digits from which placeholders are taken. */
const firstPlaceholder = 100_000_000_000_000

/**
 * The conditions of a policy in Cedar's JSON form, with Longs beyond 53 bits as bigint: that JSON is parsed into doubles, so such a number
 * is replaced in the text by a smaller one that the text does not contain, and put back afterwards. Throws `NotCompiled`.
 */
export function exactConditions({ json, text }: Pick<Policy, 'json' | 'text'>): PolicyJson['conditions'] {
  if (!hasRounded(json.conditions)) return json.conditions
  const numbers = new Map<number, bigint>()
  let next = firstPlaceholder
  const replaced = text.replace(token, (found) => {
    if (!/^[0-9]/.test(found)) return found
    while (text.includes(String(next))) next++
    numbers.set(next, BigInt(found))
    return String(next++)
  })
  const parsed = policyToJson(replaced)
  if (parsed.type === 'failure') throw new NotCompiled('a Long beyond 53 bits that its text does not give')
  const exact = putBack(parsed.json.conditions, numbers)
  // The digits were those of the policy's own numbers: rounded, they give the JSON that Cedar gives for the text.
  if (JSON.stringify(exact, rounded) !== JSON.stringify(json.conditions))
    throw new NotCompiled('a Long beyond 53 bits that its text does not give')
  return exact as PolicyJson['conditions']
}

function hasRounded(value: unknown): boolean {
  if (typeof value === 'number') return !Number.isSafeInteger(value)
  return typeof value === 'object' && value !== null && Object.values(value).some(hasRounded)
}

function putBack(value: unknown, numbers: ReadonlyMap<number, bigint>): unknown {
  if (typeof value === 'number') {
    const exact = numbers.get(Math.abs(value))
    if (exact === undefined) return value
    const long = longOf(value < 0 ? -exact : exact)
    if (long === undefined) throw new NotCompiled('a number that is no Long')
    return long
  }
  if (Array.isArray(value)) return value.map((each) => putBack(each, numbers))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, putBack(each, numbers)]))
}

const rounded = (_: string, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)
