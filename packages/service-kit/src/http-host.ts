import { ServiceError } from '@bailiwick/errors'
import type { HttpServer } from './http-server.ts'
import { isLoopback } from './listener.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answered whatever the Host header says: for probes, which know an instance by its address alone. */
    anyHost?: boolean
  }
}

/**
 * Refuses (`host_unknown`) what is meant for another host. A page of any site can have its name point to this machine or to an address
 * inside (DNS rebinding); then its requests come from a browser that is let in, under the page's own name. `hosts`: the names that this server goes by
 * besides the loopback's. The port says nothing: a proxy in front may have another one. Nothing is asked of an operator's Unix
 * socket, which no browser opens.
 */
export function refuseOtherHosts(app: HttpServer, hosts: readonly string[] | 'any'): void {
  if (hosts === 'any') return
  // A listener on every interface is not called by that.
  const ours = new Set(hosts.map((host) => host.toLowerCase()).filter((host) => host !== '0.0.0.0' && host !== '::'))
  app.addHook('onRequest', async ({ raw, routeOptions }) => {
    if (routeOptions.config.anyHost === true || typeof app.server.address() === 'string') return
    const name = hostNameIn(raw.rawHeaders)
    if (name === undefined || !(ours.has(name) || isLoopback(name)))
      throw new ServiceError('host_unknown', 'the Host header names none of this service')
  })
}

/** Without port and brackets; undefined unless there is exactly one that is a host (RFC 9112 §3.2). */
function hostNameIn(rawHeaders: readonly string[]): string | undefined {
  const [host, ...more] = rawHeaders.filter((_, n) => n % 2 === 1 && rawHeaders[n - 1]?.toLowerCase() === 'host')
  if (host === undefined || more.length > 0) return undefined
  const [, name, address] = /^(?:([A-Za-z0-9_.-]{1,253})|\[([0-9A-Fa-f:.]{2,45})\])(?::\d{1,5})?$/.exec(host) ?? []
  return (name ?? address)?.toLowerCase().replace(/\.$/, '')
}
