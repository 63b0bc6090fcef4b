import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net'
import type { HttpServer } from './http-server.ts'

/** Gives each request its `caller`. No other part of `X-Forwarded-*` is ever believed. */
export function knowCallers(app: HttpServer, trusted: BlockList = new BlockList()): void {
  app.decorateRequest('caller', {
    getter() {
      return callerOf(this.socket.remoteAddress, this.headers['x-forwarded-for'], trusted)
    },
  })
}

/**
 * Each proxy appends the address it received the request from. So the list is read from its end, and only while the writer was a trusted
 * proxy; any client could have made up the entries before that. An entry that is not an address also ends the reading: the last proxy
 * then stands for the callers behind it.
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

/** The networks of `CIDR[,CIDR…]`, or single addresses. undefined if an entry is neither, or covers every address (`/0`). */
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

/** The holder of one address of an IPv6 /64 network has all its addresses (RFC 4291 §2.5.4). */
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

/** A dual-stack socket shows IPv4 peers in IPv6 form. */
export const plain = (address: string) => address.replace(/^::ffff:(?=\d+\.)/i, '')
