import { gatewayRoutes } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import type { HttpReply, HttpRequest, HttpServer } from '@bailiwick/host'
import { refusal } from '@bailiwick/pep'
import { checkHead, clientGone, requestOf } from '@bailiwick/relay'
import type { SshAuthority } from '../ssh/ssh-authority.ts'
import { send } from './api-routes.ts'
import { deny } from './deny.ts'
import { asError, bodyFault, refuseOrigin, versionFault } from './request-rules.ts'
import { describeResources } from './resource-metadata.ts'

const { certifySshKey, showSshAuthority, listRevokedSshKeys, describeSsh } = gatewayRoutes
const bodyLimit = 8 * 1024

export interface SshRoutesOptions {
  /** The authorities in use, by name. */
  authority: (name: string) => SshAuthority | undefined
  /** The gateway's own address, without a path. */
  publicUrl: string
  /** The issuer of credentials: the installation's address. */
  issuer: string
  /** Web pages that may call now, by origin. */
  origins: () => readonly string[]
}

/** `/ssh/<name>/…`: certificates for agents, and the two files for the hosts, which are public. */
export function sshRoutes(http: HttpServer, { authority, publicUrl, issuer, origins }: SshRoutesOptions): void {
  const { origin } = new URL(publicUrl)
  const named = (request: HttpRequest): SshAuthority => {
    const { name } = request.params as { name: string }
    const found = authority(name)
    if (found === undefined) throw new ServiceError('route_unknown')
    return found
  }

  http.route({
    ...{ method: certifySshKey.method, url: certifySshKey.path, bodyLimit },
    config: { accepts: 'anything' },
    async handler(request, reply) {
      const { rawHeaders, method = '', url = '' } = request.raw
      const old = versionFault(request.raw)
      if (old !== undefined) throw asError(old)
      const head = checkHead({ method, target: url, rawHeaders }, publicUrl)
      if ('refused' in head) throw asError(head)
      const found = named(request)
      refuseOrigin(request, new Set([origin, ...origins()]))
      if ('ok' in head) return deny(reply, refusal(head.reason), found.address)
      const body = request.rawBody ?? Buffer.alloc(0)
      const fault = bodyFault(request.raw, body)
      if (fault !== undefined) throw asError(fault)
      const target = url.slice(url.indexOf('/', '/ssh/'.length))
      const relayed = await found.call(requestOf({ ...head, target }, body), head.caller, clientGone(reply.raw))
      if ('refused' in relayed) throw asError(relayed)
      return relayed.allowed ? send(request, reply, relayed) : deny(reply, relayed, found.address)
    },
  })
  const text = (reply: HttpReply, content: string) =>
    reply.type('text/plain').header('cache-control', 'no-store').send(content)
  http.get(showSshAuthority.path, async (request, reply) => text(reply, await named(request).publicKey()))
  http.get(listRevokedSshKeys.path, async (request, reply) => text(reply, named(request).revoked))

  describeResources(http, {
    ...{ path: describeSsh.path, issuer },
    addressOf: (name) => authority(name)?.address,
    toolServerOf: (name) => authority(name)?.toolServer,
  })
}
