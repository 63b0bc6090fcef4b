import { isIP } from 'node:net'
import type { FoundPlace, LocalPlace } from '@bailiwick/agent/sidecar'
import { ServiceError } from '@bailiwick/errors'

/** Addresses for which an entry of the gateway stands, and what answers them. */
export interface Site {
  /** Lower case, without the port of the scheme: `https://api.example.com`. */
  readonly origin: string
  /** Without a slash at the end: empty, or `/v1`. */
  readonly path: string
  readonly place: LocalPlace
}

const hostForm = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/
const pathForm = /^(\/[A-Za-z0-9._~-]+)*$/

/**
 * The address that a person gave for an entry. Throws `config_invalid` for an IP address or a name of this machine, which programs reach past a
 * proxy, and for what is more than scheme, host, port and path.
 */
export function siteUrl(option: string, text: string): { origin: string; path: string } {
  const refuse = (why: string) => new ServiceError('config_invalid', `${option}: ${text}: ${why}`)
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol)) throw refuse('no address with http:// or https://')
  const { hostname, origin, href } = url
  if (isIP(hostname.replace(/^\[|\]$/g, '')) !== 0 || !hostForm.test(hostname) || hostname.length > 253)
    throw refuse('the host must be a name')
  if (/(^|\.)localhost$/.test(hostname)) throw refuse('a program reaches this machine past the proxy')
  const path = url.pathname.replace(/\/$/, '')
  // Dots are resolved in `url` already.
  if (/\/\.{1,2}(\/|$)/.test(text) || !pathForm.test(path) || ![`${origin}${path}`, `${origin}${path}/`].includes(href))
    throw refuse('it must be scheme, host, port and a plain path')
  return { origin, path }
}

/** What answers this target at this origin, and what of the target is left below its path. The longest path counts. */
export function siteAt(sites: readonly Site[], origin: string, target: string): FoundPlace | undefined {
  const [site] = sites
    .filter((each) => each.origin === origin && isBelow(target, each.path))
    .toSorted((one, other) => other.path.length - one.path.length)
  return site && { place: site.place, rest: target.slice(site.path.length) }
}

const isBelow = (target: string, path: string): boolean =>
  target.startsWith(path) && /^([/?]|$)/.test(target.slice(path.length))
