import type { IncomingMessage } from 'node:http'
import type { ErrorCode } from '@bailiwick/errors'
import { fieldsOf } from '@bailiwick/kit'

/** Where a request goes, in one spelling. */
export interface Target {
  readonly origin: string
  /** Path and query, as they were sent. */
  readonly path: string
}

export interface RefusedTarget {
  readonly code: ErrorCode
  readonly detail?: string
}

/** The other end of a tunnel, as the program asked for it. */
export interface TunnelEnd {
  /** In lower case. */
  readonly host: string
  readonly port: number
}

const defaultPorts: Readonly<Record<string, number>> = { http: 80, https: 443 }

/** Lower case, without the port of the scheme, as `URL.origin` writes it. */
export const originOf = (scheme: 'http' | 'https', { host, port }: TunnelEnd): string =>
  `${scheme}://${host}${port === defaultPorts[scheme] ? '' : `:${port}`}`

const authorityForm = /^([a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\]):([1-9]\d{0,4})$/i

/** The target of CONNECT (RFC 9110 §9.3.6). */
export function tunnelEndOf({ url = '', rawHeaders }: IncomingMessage): TunnelEnd | RefusedTarget {
  const [, host = '', port = ''] = authorityForm.exec(url) ?? []
  if (host === '' || Number(port) > 65_535) return { code: 'target_form_forbidden', detail: 'CONNECT needs host:port' }
  const end = { host: host.toLowerCase(), port: Number(port) }
  // HTTP/1.0, which some clients speak here, has no Host.
  const hosts = fieldsOf(rawHeaders, 'host').map((each) => each.toLowerCase())
  return hosts.every((each) => each === end.host || each === `${end.host}:${end.port}`) && hosts.length <= 1
    ? end
    : { code: 'host_ambiguous' }
}

const absoluteForm = /^(https?):\/\/([a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::([1-9]\d{0,4}))?([/?].*)?$/i

/** The target of a request to a proxy (RFC 9112 §3.2.2). Its Host must be the same: what reads the one, and what the other, must agree. */
export function proxiedTargetOf({ url = '', rawHeaders }: IncomingMessage): Target | RefusedTarget {
  const [, scheme = '', host = '', port, path = '/'] = absoluteForm.exec(url) ?? []
  if (scheme === '') return { code: 'target_form_forbidden', detail: 'this is a proxy: the target is a whole address' }
  const name = scheme.toLowerCase() as 'http' | 'https'
  const end = { host: host.toLowerCase(), port: Number(port ?? defaultPorts[name]) }
  if (end.port > 65_535) return { code: 'target_form_forbidden' }
  if (!isHost(rawHeaders, name, end)) return { code: 'host_ambiguous' }
  return { origin: originOf(name, end), path: path.startsWith('/') ? path : `/${path}` }
}

/** The target of a request in a tunnel, which is a path at the tunnel's own end. */
export function tunnelledTargetOf(
  { url = '', rawHeaders }: IncomingMessage,
  scheme: 'http' | 'https',
  end: TunnelEnd,
): Target | RefusedTarget {
  if (!url.startsWith('/')) return { code: 'target_form_forbidden', detail: 'in a tunnel the target is a path' }
  if (!isHost(rawHeaders, scheme, end)) return { code: 'host_ambiguous' }
  return { origin: originOf(scheme, end), path: url }
}

function isHost(rawHeaders: readonly string[], scheme: 'http' | 'https', { host, port }: TunnelEnd): boolean {
  const [one, ...others] = fieldsOf(rawHeaders, 'host').map((each) => each.toLowerCase())
  if (one === undefined || others.length > 0) return false
  return one === `${host}:${port}` || (one === host && port === defaultPorts[scheme])
}
