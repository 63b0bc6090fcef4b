import { BlockList, isIP, isIPv4 } from 'node:net'
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

const isIn = (networks: BlockList, address: string) => isIP(address) !== 0 && networks.check(address, familyOf(address))

const familyOf = (address: string) => (isIPv4(address) ? 'ipv4' : 'ipv6')

/** A socket that takes both has IPv4 peers in the form of IPv6. */
const plain = (address: string) => address.replace(/^::ffff:(?=\d+\.)/i, '')
