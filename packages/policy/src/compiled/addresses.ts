import type { Extension } from './values.ts'

/** An address as an integer of `bits`, with the length of its prefix. */
interface Address {
  bits: 32 | 128
  address: bigint
  prefix: number
}

/** The canonical text of an address with its prefix; undefined: Cedar refuses it. Equal values have equal texts. */
export function readAddress(text: string): string | undefined {
  const slash = text.indexOf('/')
  const address = slash < 0 ? text : text.slice(0, slash)
  const [bits, value] = address.includes(':') ? [128, ofGroups(address)] : [32, ofOctets(address)]
  if (value === undefined) return undefined
  const prefix = slash < 0 ? bits : prefixOf(text.slice(slash + 1), bits)
  return prefix === undefined ? undefined : `${bits} ${value} ${prefix}`
}

function prefixOf(text: string, most: number): number | undefined {
  return /^(0|[1-9][0-9]{0,2})$/.test(text) && Number(text) <= most ? Number(text) : undefined
}

function ofOctets(text: string): bigint | undefined {
  const octets = text.split('.')
  if (octets.length !== 4 || !octets.every((octet) => prefixOf(octet, 255) !== undefined)) return undefined
  return octets.reduce((value, octet) => value * 256n + BigInt(octet), 0n)
}

/** `::` stands for at least one group. */
function ofGroups(text: string): bigint | undefined {
  const [head = '', tail, ...more] = text.split('::')
  if (more.length > 0) return undefined
  const groups = groupsOf(head)
  const last = tail === undefined ? [] : groupsOf(tail)
  if (groups === undefined || last === undefined) return undefined
  const missing = 8 - groups.length - last.length
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined
  const all = [...groups, ...Array.from({ length: missing }, () => '0'), ...last]
  return all.reduce((value, group) => value * 65_536n + BigInt(`0x${group}`), 0n)
}

function groupsOf(text: string): string[] | undefined {
  if (text === '') return []
  const groups = text.split(':')
  return groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group)) ? groups : undefined
}

function addressOf({ value }: Extension): Address {
  const [bits, address, prefix] = String(value).split(' ')
  return { bits: bits === '32' ? 32 : 128, address: BigInt(address ?? 0), prefix: Number(prefix) }
}

export const isIpv4 = (of: Extension): boolean => addressOf(of).bits === 32
export const isIpv6 = (of: Extension): boolean => addressOf(of).bits === 128

export const isLoopback = (of: Extension): boolean => isWithin(of, '127.0.0.0/8') || isWithin(of, '::1')
export const isMulticast = (of: Extension): boolean => isWithin(of, '224.0.0.0/4') || isWithin(of, 'ff00::/8')

/** Whether all addresses of the one range are in the other. */
export function isInRange(of: Extension, range: Extension): boolean {
  const [inner, outer] = [addressOf(of), addressOf(range)]
  if (inner.bits !== outer.bits || inner.prefix < outer.prefix) return false
  const shift = BigInt(outer.bits - outer.prefix)
  return inner.address >> shift === outer.address >> shift
}

const ranges = new Map<string, Extension>()

function isWithin(of: Extension, text: string): boolean {
  const range = ranges.get(text) ?? ({ kind: 'ipaddr', value: readAddress(text) ?? '' } as Extension)
  ranges.set(text, range)
  return isInRange(of, range)
}
