import { BlockList, isIP, isIPv4 } from 'node:net'

/** The ranges that IANA's special-purpose registry (RFC 6890) and multicast exclude from IPv4, and others that are not publicly routed. */
const notPublicIPv4: readonly [string, number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10], // carrier-grade NAT; metadata services of some clouds
  ['127.0.0.0', 8],
  ['169.254.0.0', 16], // link-local, with the metadata service of most clouds
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.31.196.0', 24],
  ['192.52.193.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['192.175.48.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
]

/** Ranges inside global unicast that are still not ordinary addresses: protocol assignments with Teredo, documentation, 6to4. */
const notPublicIPv6: readonly [string, number][] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['2620:4f:8000::', 48],
  ['3fff::', 20],
]

const notPublic = new BlockList()
for (const [net, prefix] of notPublicIPv4) notPublic.addSubnet(net, prefix, 'ipv4')
for (const [net, prefix] of notPublicIPv6) notPublic.addSubnet(net, prefix, 'ipv6')
const globalUnicast = new BlockList()
globalUnicast.addSubnet('2000::', 3, 'ipv6')

/**
 * Whether this is a public Internet address: not private, shared, loopback, link-local, multicast or reserved. Of IPv6 only
 * global unicast passes, so that every form that carries an IPv4 address (v4-mapped, NAT64, 6to4) is refused unread. Takes the
 * address as a socket gives it. An address with a zone (`%eth0`), or text that is not an address, is not public.
 */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 0 || address.includes('%')) return false
  if (isIPv4(address)) return !notPublic.check(address, 'ipv4')
  return globalUnicast.check(address, 'ipv6') && !notPublic.check(address, 'ipv6')
}
