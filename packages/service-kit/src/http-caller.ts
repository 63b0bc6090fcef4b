import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net'
import type { HttpServer } from './http-server.ts'

/** Gives each request its `caller`. Nothing else of `X-Forwarded-*` is believed of anybody. */
export function knowCallers(app: HttpServer, trusted: BlockList = new BlockList()): void {
  app.decorateRequest('caller', {
    getter() {
      return callerOf(this.socket.remoteAddress, this.headers['x-forwarded-for'], trusted)
    },
  })
}

/**
 * Each proxy appends whom it heard a request from, so the list is read from its end, and only for as long as it was a trusted
 * proxy that wrote: what stands before that anybody may have made up. What is no address ends it, too: then the last proxy
 * stands for whoever is behind it.
 */
export function callerOf(
  peer: string | undefined,
  forwarded: string | string[] | undefined,
  trusted: BlockList,
): string {
  let caller = plain(peer ?? '')
  const heardFrom = [forwarded ?? []].flat().join(',').split(',')
  while (isIn(trusted, caller)) {
    const next = plain(heardFrom.pop()?.trim() ?? '')
    if (isIP(next) === 0 || next.includes('%')) break
    caller = next
  }
  return caller
}

/** The networks of `CIDR[,CIDR…]`, or single addresses; undefined when one is neither, or is everybody (`/0`). */
export function readNetworks(value: string): BlockList | undefined {
  const networks = new BlockList()
  for (const network of value.split(',')) {
    const [, address = '', bits] = /^([^/]+)(?:\/([1-9]\d{0,2}))?$/.exec(network.trim()) ?? []
    const most = isIPv4(address) ? 32 : 128
    const prefix = Number(bits ?? most)
    if (isIP(address) === 0 || address.includes('%') || prefix > most) return undefined
    networks.addSubnet(address, prefix, familyOf(address))
  }
  return networks
}

/** Whoever has one address of an IPv6 network of /64 has all of them (RFC 4291 §2.5.4). */
export function networkOf(ip: string): string {
  const address = plain(ip)
  if (!isIPv6(address)) return address
  const [head = '', tail = ''] = address.replace(/%.*/, '').split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === '' ? [] : tail.split(':')
  const zeros = new Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0')
  return [...before, ...zeros, ...after].slice(0, 4).join(':')
}

export const isIn = (networks: BlockList, address: string) =>
  isIP(address) !== 0 && networks.check(address, familyOf(address))

const familyOf = (address: string) => (isIPv4(address) ? 'ipv4' : 'ipv6')

/** A socket that takes both has IPv4 peers in the form of IPv6. */
export const plain = (address: string) => address.replace(/^::ffff:(?=\d+\.)/i, '')
