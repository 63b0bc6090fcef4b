import type { IncomingMessage } from 'node:http'
import { gatewayRoutes } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import { type HttpServer, upgradable } from '@bailiwick/host'
import { readUpgrade, sendUpgraded, splitTarget } from '@bailiwick/relay'
import type { Database } from '../postgres/database.ts'
import { decideAt, type RouteOptions } from './decide-at.ts'
import { announcesBody, asError, never } from './request-rules.ts'
import { describeResources } from './resource-metadata.ts'

const { connectToPostgres, describePostgres } = gatewayRoutes
/** The name of the protocol in `Upgrade`. */
const protocol = 'postgresql'

/**
 * `/postgres/<name>`: a request that is decided, and whose connection then speaks PostgreSQL's protocol after its start-up; and the metadata
 * of each database as a protected resource (RFC 9728). Add these routes before the server listens.
 */
export function postgresRoutes(
  http: HttpServer,
  database: (name: string) => Database | undefined,
  options: RouteOptions,
): void {
  const takes = upgradable(http, asksForPostgres)
  http.route({
    method: connectToPostgres.method,
    url: connectToPostgres.path,
    exposeHeadRoute: false,
    config: { accepts: 'anything', handlerMs: never },
    async handler(request, reply) {
      const { rawHeaders, url = '' } = request.raw
      const connection = takes(request.raw)
      const relayed = await decideAt(request, reply, options, () => {
        if (connection === undefined)
          throw new ServiceError('request_malformed', 'no request for Upgrade: postgresql, or one with a body')
        const upgrade = readUpgrade(rawHeaders, protocol)
        if ('refused' in upgrade) throw asError(upgrade)
        // The database would read them before it has agreed to anything.
        if (connection.head.length > 0) throw new ServiceError('request_malformed', 'bytes after the head')
        const { path, query } = splitTarget(url)
        const [, name = ''] = /^\/postgres\/([a-z0-9][a-z0-9_-]*)$/.exec(path) ?? []
        return {
          entry: database(name),
          target: query === undefined ? '/' : `/?${query}`,
          leaving: { socket: connection.socket, fields: upgrade.headers },
        }
      })
      if (relayed === undefined || connection === undefined) return reply
      connection.take()
      await sendUpgraded(connection.socket, relayed, ['upgrade', protocol])
      return reply
    },
  })
  describeResources(http, describePostgres.path, options.issuer, database)
}

/** The parts that Node must know. The rest of the request is read later. */
const asksForPostgres = ({ method, httpVersion, url = '', headers, rawHeaders }: IncomingMessage): boolean =>
  method === 'GET' &&
  httpVersion === '1.1' &&
  url.startsWith('/postgres/') &&
  headers.upgrade?.toLowerCase() === protocol &&
  !announcesBody(rawHeaders)
