import type { IncomingMessage } from 'node:http'
import { gatewayRoutes } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import { type HttpServer, upgradable } from '@bailiwick/host'
import { refusal } from '@bailiwick/pep'
import { checkHead, readUpgrade, requestOf, sendUpgraded, splitTarget } from '@bailiwick/relay'
import type { Database } from '../postgres/database.ts'
import { deny } from './deny.ts'
import { announcesBody, asError, closed, never, refuseOrigin, versionFault } from './request-rules.ts'
import { describeResources } from './resource-metadata.ts'

const { connectToPostgres, describePostgres } = gatewayRoutes
/** The name of the protocol in `Upgrade`. */
const protocol = 'postgresql'

export interface PostgresRoutesOptions {
  /** The databases in use, by name. */
  database: (name: string) => Database | undefined
  /** The gateway's own address, without a path. */
  publicUrl: string
  /** The issuer of credentials: the installation's address. */
  issuer: string
  /** Web pages that may call now, by origin. */
  origins: () => readonly string[]
}

/**
 * `/postgres/<name>`: a request that is decided, and whose connection then speaks PostgreSQL's protocol after its start-up; and the metadata
 * of each database as a protected resource (RFC 9728). Add these routes before the server listens.
 */
export function postgresRoutes(
  http: HttpServer,
  { database, publicUrl, issuer, origins }: PostgresRoutesOptions,
): void {
  const { origin } = new URL(publicUrl)
  const leaving = upgradable(http, asksForPostgres)
  http.route({
    method: connectToPostgres.method,
    url: connectToPostgres.path,
    exposeHeadRoute: false,
    config: { accepts: 'anything', handlerMs: never },
    async handler(request, reply) {
      const { rawHeaders, method = '', url = '' } = request.raw
      const old = versionFault(request.raw)
      if (old !== undefined) throw asError(old)
      const connection = leaving(request.raw)
      if (connection === undefined)
        throw new ServiceError('request_malformed', 'no request for Upgrade: postgresql, or one with a body')
      const upgrade = readUpgrade(rawHeaders, protocol)
      if ('refused' in upgrade) throw asError(upgrade)
      // The database would read them before it has agreed to anything.
      if (connection.head.length > 0) throw new ServiceError('request_malformed', 'bytes after the head')
      const head = checkHead({ method, target: url, rawHeaders: upgrade.headers }, publicUrl)
      if ('refused' in head) throw asError(head)
      const { path, query } = splitTarget(url)
      const [, name = ''] = /^\/postgres\/([a-z0-9][a-z0-9_-]*)$/.exec(path) ?? []
      const found = database(name)
      if (found === undefined) throw new ServiceError('route_unknown')
      refuseOrigin(request, new Set([origin, ...origins()]))
      if ('ok' in head) return deny(reply, refusal(head.reason), found.address)
      const target = query === undefined ? '/' : `/?${query}`
      const sent = requestOf({ ...head, target }, Buffer.alloc(0))
      const relayed = await found.call(sent, head.caller, closed(connection.socket))
      if ('refused' in relayed) throw asError(relayed)
      if (!relayed.allowed) return deny(reply, relayed, found.address)
      request.callerVerified()
      reply.hijack()
      connection.take()
      await sendUpgraded(connection.socket, relayed, ['upgrade', protocol])
      return reply
    },
  })

  describeResources(http, {
    ...{ path: describePostgres.path, issuer },
    addressOf: (name) => database(name)?.address,
    toolServerOf: (name) => database(name)?.toolServer,
  })
}

/** The parts that Node must know. The rest of the request is read later. */
const asksForPostgres = ({ method, httpVersion, url = '', headers, rawHeaders }: IncomingMessage): boolean =>
  method === 'GET' &&
  httpVersion === '1.1' &&
  url.startsWith('/postgres/') &&
  headers.upgrade?.toLowerCase() === protocol &&
  !announcesBody(rawHeaders)
