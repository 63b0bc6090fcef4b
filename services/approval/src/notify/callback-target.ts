import { isIP } from 'node:net'
import type { Agent } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { safeUrl } from '@bailiwick/host'
import { isPublicAddress } from '@bailiwick/kit'

/**
 * Throws `callback_forbidden` unless the agent's registration allows the address: https, the same origin as one of its prefixes, and a path
 * below that prefix, segment by segment. The address that a host name resolves to is judged at sending, since it may change until then.
 */
export function refuseCallback({ callbacks = [] }: Pick<Agent, 'callbacks'>, callback: string | undefined): void {
  if (callback === undefined) return
  const url = safeUrl(callback)
  if (url === undefined || !callbacks.some((prefix) => liesBelow(url, prefix)) || isInside(url))
    throw new ServiceError('callback_forbidden')
}

function liesBelow(url: URL, registered: string): boolean {
  const prefix = safeUrl(registered)
  if (prefix === undefined || prefix.origin !== url.origin) return false
  // Servers disagree on whether an encoded slash, backslash or dot is part of the path structure.
  if (/%(?:2e|2f|5c|25)|\\/i.test(url.pathname)) return false
  const base = prefix.pathname.endsWith('/') ? prefix.pathname : `${prefix.pathname}/`
  return url.pathname === prefix.pathname || url.pathname.startsWith(base)
}

function isInside({ hostname }: URL): boolean {
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  return isIP(host) !== 0 && !isPublicAddress(host)
}
