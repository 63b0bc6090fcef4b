import { isInRange, isIpv4, isIpv6, isLoopback, isMulticast } from './addresses.ts'
import { durationSince, durationUnits, inUnits, offset, toDate, toTime } from './extensions.ts'
import type { Extension, ExtensionKind, Long, Value } from './values.ts'

/** A function over extension values, with one or two operands of these kinds. undefined: Cedar errs. */
interface Method {
  takes: 1 | 2
  on: ExtensionKind
  /** The kind of the second operand, if it is another. */
  by?: ExtensionKind
  call(of: Extension, other: Extension | undefined): Value | undefined
}

const one = (on: ExtensionKind, call: (of: Extension) => Value | undefined): Method => ({ takes: 1, on, call })

const two = (
  on: ExtensionKind,
  call: (of: Extension, other: Extension) => Value | undefined,
  by: ExtensionKind = on,
): Method => ({ takes: 2, on, by, call: (of, other) => (other === undefined ? undefined : call(of, other)) })

const decimals = (compare: (a: Long, b: Long) => boolean) =>
  two('decimal', (a, b) => compare(a.value as Long, b.value as Long))

/** By name. */
export const methods: ReadonlyMap<string, Method> = new Map([
  ['lessThan', decimals((a, b) => a < b)],
  ['lessThanOrEqual', decimals((a, b) => a <= b)],
  ['greaterThan', decimals((a, b) => a > b)],
  ['greaterThanOrEqual', decimals((a, b) => a >= b)],
  ['isIpv4', one('ipaddr', isIpv4)],
  ['isIpv6', one('ipaddr', isIpv6)],
  ['isLoopback', one('ipaddr', isLoopback)],
  ['isMulticast', one('ipaddr', isMulticast)],
  ['isInRange', two('ipaddr', isInRange)],
  ['offset', two('datetime', offset, 'duration')],
  ['durationSince', two('datetime', durationSince)],
  ['toDate', one('datetime', toDate)],
  ['toTime', one('datetime', toTime)],
  ...Array.from(durationUnits, ([name, unit]): [string, Method] => [name, one('duration', (of) => inUnits(of, unit))]),
])
