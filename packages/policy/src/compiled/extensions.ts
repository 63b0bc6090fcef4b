import { readAddress } from './addresses.ts'
import { difference, longOf, quotient, remainder, sum } from './longs.ts'
import { Extension, type ExtensionKind, type Long } from './values.ts'

const tenThousandths = 10_000n
const dayMs = 86_400_000

/** Reads the text that an extension function is given; undefined: Cedar refuses it. */
export type ReadExtension = (text: string) => Extension | undefined

/** The functions that make a value of a text, by name. */
export const constructors: ReadonlyMap<string, ReadExtension> = new Map([
  ['decimal', made('decimal', decimal)],
  ['datetime', made('datetime', datetime)],
  ['duration', made('duration', duration)],
  ['ip', made('ipaddr', readAddress)],
])

function made(kind: ExtensionKind, read: (text: string) => Long | string | undefined): ReadExtension {
  return (text) => {
    const value = read(text)
    return value === undefined ? undefined : new Extension(kind, value)
  }
}

function decimal(text: string): Long | undefined {
  const [, sign, whole, fraction] = /^(-?)([0-9]+)\.([0-9]{1,4})$/.exec(text) ?? []
  const integer = counted(whole)
  if (integer === undefined || fraction === undefined) return undefined
  const size = integer * tenThousandths + BigInt(fraction.padEnd(4, '0'))
  return longOf(sign === '-' ? -size : size)
}

/** undefined for a number that does not fit in 64 bits in any case: BigInt takes long to read a long one. */
function counted(digits = ''): bigint | undefined {
  const significant = digits.replace(/^0+/, '')
  return digits === '' || significant.length > 20 ? undefined : BigInt(significant)
}

const date = /^([0-9]{4})-([0-9]{2})-([0-9]{2})(?:T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{3}))?(Z|[+-][0-9]{4}))?$/

function datetime(text: string): Long | undefined {
  const [whole, ...parts] = date.exec(text) ?? []
  if (whole === undefined) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0] = parts
    .slice(0, 7)
    .map((part) => Number(part ?? 0))
  const at = new Date(0)
  // Date.UTC takes the years before 100 for those of 1900.
  at.setUTCFullYear(year, month - 1, day)
  if (month < 1 || at.getUTCMonth() !== month - 1 || at.getUTCDate() !== day) return undefined
  if (hour > 23 || minute > 59 || second > 59) return undefined
  const offset = minutesOf(parts[7])
  if (offset === undefined) return undefined
  return at.getTime() + ((hour * 60 + minute - offset) * 60 + second) * 1000 + ms
}

function minutesOf(offset = 'Z'): number | undefined {
  if (offset === 'Z') return 0
  const [hours, minutes] = [Number(offset.slice(1, 3)), Number(offset.slice(3))]
  if (hours > 23 || minutes > 59) return undefined
  return (offset.startsWith('-') ? -1 : 1) * (hours * 60 + minutes)
}

const lasting = /^(-?)(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?(?:([0-9]+)ms)?$/
const unitsMs = [86_400_000n, 3_600_000n, 60_000n, 1000n, 1n]

function duration(text: string): Long | undefined {
  const [, sign, ...counts] = lasting.exec(text) ?? []
  if (sign === undefined || text === sign) return undefined
  let size = 0n
  for (const [n, unit] of unitsMs.entries()) {
    const count = counted(counts[n] ?? '0')
    if (count === undefined) return undefined
    size += count * unit
  }
  return longOf(sign === '-' ? -size : size)
}

/** undefined, also from the others: Cedar errs. */
export const offset = (at: Extension, by: Extension): Extension | undefined =>
  extensionOf('datetime', sum(at.value as Long, by.value as Long))

export const durationSince = (at: Extension, since: Extension): Extension | undefined =>
  extensionOf('duration', difference(at.value as Long, since.value as Long))

export const toDate = ({ value }: Extension): Extension | undefined =>
  extensionOf('datetime', difference(value as Long, remainder(value as Long, dayMs)))

export const toTime = ({ value }: Extension): Extension => new Extension('duration', remainder(value as Long, dayMs))

/** By method, the milliseconds of its unit. */
export const durationUnits: ReadonlyMap<string, number> = new Map([
  ['toMilliseconds', 1],
  ['toSeconds', 1000],
  ['toMinutes', 60_000],
  ['toHours', 3_600_000],
  ['toDays', dayMs],
])

export const inUnits = ({ value }: Extension, unit: number): Long => quotient(value as Long, unit)

const extensionOf = (kind: ExtensionKind, value: Long | undefined) =>
  value === undefined ? undefined : new Extension(kind, value)
