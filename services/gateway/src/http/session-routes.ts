import { gatewayRoutes } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import type { HttpReply, HttpRequest, HttpServer } from '@bailiwick/host'
import { refusal } from '@bailiwick/pep'
import { checkHead, clientGone, requestOf } from '@bailiwick/relay'
import type { SessionApp } from '../session/session-app.ts'
import { send } from './api-routes.ts'
import { deny } from './deny.ts'
import { asError, bodyFault, never, refuseOrigin, versionFault } from './request-rules.ts'
import { describeResources } from './resource-metadata.ts'

const { getFromSession, postToSession, putToSession, patchInSession, deleteInSession, describeSession } = gatewayRoutes
const routes = [getFromSession, postToSession, putToSession, patchInSession, deleteInSession]
/** The longest body of a request. */
const bodyLimit = 1024 * 1024

export interface SessionRoutesOptions {
  /** The applications in use, by name. */
  application: (name: string) => Pick<SessionApp, 'address' | 'toolServer' | 'call'> | undefined
  /** The gateway's own address, without a path. */
  publicUrl: string
  /** The issuer of credentials: the installation's address. */
  issuer: string
  /** Web pages that may call now, by origin. */
  origins: () => readonly string[]
}

/** `/session/<name>/…`: web applications in which the gateway holds a session, and their metadata as protected resources (RFC 9728). */
export function sessionRoutes(
  http: HttpServer,
  { application, publicUrl, issuer, origins }: SessionRoutesOptions,
): void {
  const { origin } = new URL(publicUrl)
  http.route({
    method: ['HEAD', ...routes.map(({ method }) => method)],
    url: getFromSession.path,
    exposeHeadRoute: false,
    config: { accepts: 'anything', handlerMs: never },
    bodyLimit,
    handler: answer,
  })

  async function answer(request: HttpRequest, reply: HttpReply): Promise<HttpReply> {
    const { rawHeaders, method = '', url = '' } = request.raw
    const old = versionFault(request.raw)
    if (old !== undefined) throw asError(old)
    const head = checkHead({ method, target: url, rawHeaders }, publicUrl)
    if ('refused' in head) throw asError(head)
    // The only parse of the path: a router's own decodes and normalises.
    const [, name = '', target = ''] = /^\/session\/([a-z0-9][a-z0-9_-]*)(\/.*)$/.exec(url) ?? []
    const found = application(name)
    if (found === undefined) throw new ServiceError('route_unknown')
    refuseOrigin(request, new Set([origin, ...origins()]))
    if ('ok' in head) return deny(reply, refusal(head.reason), found.address)
    const body = request.rawBody ?? Buffer.alloc(0)
    const fault = bodyFault(request.raw, body)
    if (fault !== undefined) throw asError(fault)
    const relayed = await found.call(requestOf({ ...head, target }, body), head.caller, clientGone(reply.raw))
    if ('refused' in relayed) throw asError(relayed)
    return relayed.allowed ? send(request, reply, relayed) : deny(reply, relayed, found.address)
  }

  describeResources(http, {
    ...{ path: describeSession.path, issuer },
    addressOf: (name) => application(name)?.address,
    toolServerOf: (name) => application(name)?.toolServer,
  })
}
