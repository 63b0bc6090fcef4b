import type { BlockList } from 'node:net'
import { z } from 'zod'
import { readNetworks } from '../http/http-caller.ts'

/** Where a port's adapter is: in this process, or at these addresses. */
export type BusSetting = { kind: 'embedded' } | { kind: 'kafka'; brokers: string[] }
export type GrantStoreSetting = { kind: 'embedded' } | { kind: 'redis'; url: string }

/** The value of `BAILIWICK_TLS`: no TLS, TLS terminated by a front, or the files to read. */
export type TlsSetting = 'none' | 'terminated' | { certificateFile: string; keyFile: string }

const HOST_PORT = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})$/

export const bus = z.string().transform((value, context): BusSetting => {
  if (value === 'embedded') return { kind: 'embedded' }
  const brokers = value.startsWith('kafka://') ? value.slice('kafka://'.length).split(',') : []
  if (brokers.length > 0 && brokers.every((broker) => isPort(HOST_PORT.exec(broker)?.[1])))
    return { kind: 'kafka', brokers }
  context.addIssue('embedded, or kafka://host:port[,host:port…]')
  return z.NEVER
})

export const grantStore = z.string().transform((value, context): GrantStoreSetting => {
  if (value === 'embedded') return { kind: 'embedded' }
  if (/^rediss?:\/\//.test(value) && URL.canParse(value)) return { kind: 'redis', url: value }
  context.addIssue('embedded, or redis://host:port, or rediss://host:port')
  return z.NEVER
})

export const publicUrl = z.string().transform((value, context): string => {
  const url = URL.parse(value)
  const origin = url !== null && /^https?:$/.test(url.protocol) && (value === url.origin || value === `${url.origin}/`)
  if (origin) return url.origin
  // A path would have to precede every route and the htu of every proof.
  context.addIssue('an origin, such as https://bailiwick.example: lower case, no path, no user')
  return z.NEVER
})

export const tls = z.string().transform((value, context): TlsSetting => {
  if (value === 'none' || value === 'terminated') return value
  const [certificateFile, keyFile, ...more] = value.split(',')
  if (certificateFile && keyFile && more.length === 0) return { certificateFile, keyFile }
  context.addIssue('terminated, or two PEM files: certificate.pem,key.pem')
  return z.NEVER
})

/** A duration, such as 2s or 1500ms; read as ms. */
export const duration = (least: number, most: number) =>
  z.string().transform((value, context): number => {
    const [, amount, unit] = /^(\d{1,5})(ms|s)$/.exec(value) ?? []
    const ms = Number(amount) * (unit === 's' ? 1000 : 1)
    if (ms >= least && ms <= most) return ms
    context.addIssue(`a time from ${least}ms to ${most}ms, such as 2s or 1500ms`)
    return z.NEVER
  })

export const networks = z.string().transform((value, context): BlockList => {
  const read = readNetworks(value)
  if (read !== undefined) return read
  context.addIssue('the addresses of proxies, or their networks, but not every address: 10.1.0.0/16,2001:db8::7')
  return z.NEVER
})

/** Names and addresses by which others call a service, without ports. */
export const hosts = z.string().transform((value, context): string[] => {
  const names = value.split(',').map((name) => name.trim().toLowerCase())
  if (names.every((name) => /^(?:[a-z0-9_.-]{1,253}|[0-9a-f:.]{2,45})$/.test(name))) return names
  context.addIssue('names without a port, as callers know this process: evidence,evidence.internal')
  return z.NEVER
})

/** The address of a service that runs as its own process. */
export interface ServiceAddress {
  service: 'approval' | 'issuer' | 'policy-decision' | 'evidence'
  /** An origin. */
  url: string
}

export const services = z.string().transform((value, context): ServiceAddress[] => {
  const named = value.split(',').flatMap((each): ServiceAddress[] => {
    const [, service, address = ''] = /^(approval|issuer|policy-decision|evidence)=(https?:.+)$/.exec(each.trim()) ?? []
    const url = URL.parse(address)
    if (url === null || (address !== url.origin && address !== `${url.origin}/`)) return []
    return [{ service: service as ServiceAddress['service'], url: url.origin }]
  })
  if (named.length === value.split(',').length) return named
  context.addIssue('services with their origins: issuer=http://issuer:8422,evidence=http://evidence:8424')
  return z.NEVER
})

/**
 * A destination for confidential data: only over TLS, or on this machine. A user would appear in the logs of other systems, and a
 * fragment is never sent.
 */
const receiver = (without: string, fits: (url: URL) => boolean = () => true) =>
  z
    .string()
    .max(2048)
    .transform((value, context): URL => {
      const url = URL.parse(value)
      const here = url !== null && ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)
      const way = url?.protocol === 'https:' || (url?.protocol === 'http:' && here)
      const plain = url !== null && url.username === '' && url.password === '' && url.hash === ''
      if (way && plain && fits(url)) return url
      context.addIssue(`an https URL, or http://localhost, without ${without}`)
      return z.NEVER
    })

export const webhook = receiver('user and fragment').transform(({ href }) => href)

/** Put keys into the file of headers. */
export const otlpEndpoint = receiver('user, query and fragment', ({ search }) => search === '').transform((url) => {
  // OTLP/HTTP Request: the default path for logs.
  if (url.pathname === '/') url.pathname = '/v1/logs'
  return url.href
})

export const whole = (least: number, most: number) => z.coerce.number().int().min(least).max(most)

export const flag = z
  .enum(['0', '1'])
  .default('0')
  .transform((value) => value === '1')

export const port = z.string().transform((value, context): number => {
  if (isPort(value)) return Number(value)
  context.addIssue('a port, 0 to 65535')
  return z.NEVER
})

function isPort(value: string | undefined): boolean {
  return value !== undefined && /^\d{1,5}$/.test(value) && Number(value) <= 65_535
}
