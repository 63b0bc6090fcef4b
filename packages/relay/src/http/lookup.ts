import { lookup as systemLookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { ServiceError } from '@bailiwick/errors'
import { isPublicAddress } from '@bailiwick/kit'

/** The addresses of a name, as `dns.lookup` with `all` gives them. */
export type Resolve = (
  host: string,
  done: (error: Error | null, addresses: readonly { address: string; family: number }[]) => void,
) => void

const allAddresses: Resolve = (host, done) => systemLookup(host, { all: true }, done)

/** Link-local addresses, where clouds have their metadata services, and translations that lead to them. */
const neverByName = new BlockList()
neverByName.addSubnet('169.254.0.0', 16, 'ipv4')
neverByName.addSubnet('fe80::', 10, 'ipv6')
neverByName.addSubnet('64:ff9b::', 96, 'ipv6')
neverByName.addSubnet('64:ff9b:1::', 48, 'ipv6')
neverByName.addSubnet('2002::', 16, 'ipv6')
const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/**
 * Resolves the name of an upstream for each connection, and refuses it (`upstream_address_forbidden`) if even one of its addresses is not
 * allowed: one that is not public, unless the configuration says that this upstream is private. Link-local addresses, where clouds have
 * their metadata services, are never allowed by name. `localhost` is always this machine (RFC 6761 §6.3). An address that the configuration
 * itself names is not looked up, so it is allowed.
 */
export function guardedLookup(isPrivate: boolean, resolve: Resolve = allAddresses): LookupFunction {
  return (host, options, done) => {
    resolve(host, (error, addresses) => {
      if (error) return done(error, '', 0)
      const isLocal = host === 'localhost'
      const isAllowed = ({ address }: { address: string }) =>
        isLocal
          ? isPlain(address) && isIn(loopback, address)
          : isPublicAddress(address) || (isPrivate && isPlain(address) && !isIn(neverByName, address))
      const [first] = addresses
      if (first === undefined || !addresses.every(isAllowed))
        return done(new ServiceError('upstream_address_forbidden', 'the name of the upstream'), '', 0)
      if (options.all) return done(null, [...addresses])
      done(null, first.address, first.family)
    })
  }
}

const isIn = (list: BlockList, address: string) => list.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6')
/** Whether the address has no zone: with one, no list would match it. */
const isPlain = (address: string) => isIP(address) !== 0 && !address.includes('%')
