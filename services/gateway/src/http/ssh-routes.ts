import { gatewayRoutes } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import type { HttpReply, HttpRequest, HttpServer } from '@bailiwick/host'
import type { SshAuthority } from '../ssh/ssh-authority.ts'
import { answerAt, type RouteOptions } from './decide-at.ts'
import { describeResources } from './resource-metadata.ts'

const { certifySshKey, showSshAuthority, listRevokedSshKeys, describeSsh } = gatewayRoutes
const bodyLimit = 8 * 1024
/** Hosts fetch the list every few seconds. Strangers in their network who call anything else do not keep it from them. */
const listRate = { name: 'ssh-list', perSecond: 100, burst: 1000 }

/** `/ssh/<name>/…`: certificates for agents, and the two files for the hosts, which are public. */
export function sshRoutes(
  http: HttpServer,
  authority: (name: string) => SshAuthority | undefined,
  options: RouteOptions,
): void {
  const find = (request: HttpRequest) => authority((request.params as { name: string }).name)
  http.route({
    ...{ method: certifySshKey.method, url: certifySshKey.path, bodyLimit },
    config: { accepts: 'anything' },
    handler: (request, reply) =>
      answerAt(request, reply, options, () => {
        const { url = '' } = request.raw
        return { entry: find(request), target: url.slice(url.indexOf('/', '/ssh/'.length)) }
      }),
  })
  const text = async (
    request: HttpRequest,
    reply: HttpReply,
    contentOf: (found: SshAuthority) => string | Promise<string>,
  ) => {
    const found = find(request)
    if (found === undefined) throw new ServiceError('route_unknown')
    return reply
      .type('text/plain')
      .header('cache-control', 'no-store')
      .send(await contentOf(found))
  }
  http.get(showSshAuthority.path, (request, reply) => text(request, reply, (found) => found.publicKey()))
  http.get(listRevokedSshKeys.path, { config: { strangers: listRate } }, (request, reply) =>
    text(request, reply, (found) => found.revoked),
  )
  describeResources(http, describeSsh.path, options.issuer, authority)
}
