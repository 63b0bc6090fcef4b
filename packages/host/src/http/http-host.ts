import { ServiceError } from '@bailiwick/errors'
import type { HttpServer } from './http-server.ts'
import { isLoopback } from './listener.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answered for any Host header: probes know an instance only by its address. */
    anyHost?: boolean
  }
}

/**
 * Refuses (`host_unknown`) requests for another host. A web page of any site can point its own name to this machine or to an internal
 * address (DNS rebinding). Its requests then come, under that name, from a browser that is allowed in. `hosts`: the names of this server
 * other than those of the loopback. The port is ignored, because a proxy in front may use another one. Requests on an operator's Unix
 * socket are not checked: no browser opens one.
 */
export function refuseOtherHosts(app: HttpServer, hosts: readonly string[] | 'any'): void {
  if (hosts === 'any') return
  // The wildcard address of a listener on every interface is not one of its names.
  const ours = new Set(hosts.map((host) => host.toLowerCase()).filter((host) => host !== '0.0.0.0' && host !== '::'))
  app.addHook('onRequest', async ({ raw, routeOptions }) => {
    if (routeOptions.config.anyHost === true || typeof app.server.address() === 'string') return
    const name = hostNameIn(raw.rawHeaders)
    if (name === undefined || !(ours.has(name) || isLoopback(name)))
      throw new ServiceError('host_unknown', 'the Host header names none of this service')
  })
}

/** The host without port and brackets; undefined unless there is exactly one Host header that holds a host (RFC 9112 §3.2). */
function hostNameIn(rawHeaders: readonly string[]): string | undefined {
  const [host, ...more] = rawHeaders.filter((_, n) => n % 2 === 1 && rawHeaders[n - 1]?.toLowerCase() === 'host')
  if (host === undefined || more.length > 0) return undefined
  const [, name, address] = /^(?:([A-Za-z0-9_.-]{1,253})|\[([0-9A-Fa-f:.]{2,45})\])(?::\d{1,5})?$/.exec(host) ?? []
  return (name ?? address)?.toLowerCase().replace(/\.$/, '')
}
