import type { IncomingMessage } from 'node:http'
import { gatewayRoutes } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import { type HttpReply, type HttpRequest, type HttpServer, upgradable } from '@bailiwick/host'
import { refusal } from '@bailiwick/pep'
import {
  asHandshake,
  checkHead,
  clientGone,
  fieldOf,
  type Relayed,
  readHandshake,
  requestOf,
  sendExecuted,
  sendWebSocket,
} from '@bailiwick/relay'
import type { Apis, Place } from '../proxy/apis.ts'
import { deny } from './deny.ts'
import {
  announcesBody,
  asError,
  bodyFault,
  closed,
  mayBeSilent,
  never,
  refuseOrigin,
  versionFault,
} from './request-rules.ts'
import { describeResources, metadataPath, sendMetadata } from './resource-metadata.ts'

const { getFromApi, postToApi, putToApi, patchAtApi, deleteAtApi, optionsOfApi, describeApi } = gatewayRoutes
const routes = [getFromApi, postToApi, putToApi, patchAtApi, deleteAtApi, optionsOfApi]
/** The longest body of a request. */
const bodyLimit = 1024 * 1024
/** Before the path of a request for a host of an API. No name of an API is like it. */
const atHost = '/http/@host'

export interface ApiRoutesOptions {
  apis: Pick<Apis, 'get' | 'addressOf' | 'placeByPath' | 'placeByHost' | 'run'>
  /** The gateway's own address, without a path. */
  publicUrl: string
  /** The issuer of credentials: the installation's address. */
  issuer: string
  /** Web pages that may call now, by origin. */
  origins: () => readonly string[]
}

/**
 * HTTP APIs, each at `/http/<name>/…` or at a host of its own, and their metadata as protected resources (RFC 9728). Add these routes before
 * the server listens.
 */
export function apiRoutes(http: HttpServer, { apis, publicUrl, issuer, origins }: ApiRoutesOptions): void {
  const { origin } = new URL(publicUrl)
  /** The places of requests for hosts of APIs. Their paths are the API's alone, so the router must not find a route of the gateway for one. */
  const atHosts = new WeakMap<object, Place>()
  const locate = (raw: IncomingMessage) => {
    const place = apis.placeByHost(raw.headers.host, raw.url ?? '')
    if (place === undefined) return
    atHosts.set(raw, place)
    raw.url = `${atHost}${raw.url}`
  }
  // First, because the routes stand on 'upgrade' too.
  http.server.prependListener('request', locate).prependListener('upgrade', locate)
  const leaving = upgradable(http, (raw) => {
    const place = apis.placeByHost(raw.headers.host, raw.url ?? '') ?? apis.placeByPath(raw.url ?? '')
    return place !== undefined && apis.get(place.name)?.opensWebSockets === true && asksForWebSocket(raw)
  })

  http.route({
    // TRACE would show an agent what is sent for it; CONNECT and upgrades leave what was decided.
    method: ['HEAD', ...routes.map(({ method }) => method)],
    url: getFromApi.path,
    exposeHeadRoute: false,
    config: { accepts: 'anything', handlerMs: never },
    bodyLimit,
    handler(request, reply) {
      const { url = '' } = request.raw
      const place = atHosts.get(request.raw)
      if (place === undefined) return answer(request, reply, url, apis.placeByPath(url))
      const { name, address, target } = place
      if (request.method !== 'GET' || target !== metadataPath) return answer(request, reply, target, place)
      return sendMetadata(reply, { resource: address, name, toolServer: apis.get(name)?.toolServer, issuer })
    },
  })

  /** `url`: the target as it was sent. */
  async function answer(
    request: HttpRequest,
    reply: HttpReply,
    url: string,
    place: Place | undefined,
  ): Promise<HttpReply> {
    const { rawHeaders, method = '' } = request.raw
    const old = versionFault(request.raw)
    if (old !== undefined) throw asError(old)
    const connection = leaving(request.raw)
    const handshake = connection === undefined ? undefined : readHandshake(rawHeaders)
    if (handshake !== undefined && 'refused' in handshake) throw asError(handshake)
    // It would be forwarded to a server that did not agree to anything yet.
    if (connection !== undefined && connection.head.length > 0)
      throw new ServiceError('request_malformed', 'bytes after the head')
    const fields = handshake?.headers ?? rawHeaders
    const head = checkHead({ method, target: url, rawHeaders: fields }, place?.address ?? publicUrl)
    if ('refused' in head) throw asError(head)
    if (place === undefined) throw new ServiceError('route_unknown')
    const { name, target } = place
    refuseOrigin(request, new Set([origin, ...origins()]))
    if ('ok' in head) return deny(reply, refusal(head.reason), place.address)
    const body = request.rawBody ?? Buffer.alloc(0)
    const fault = bodyFault(request.raw, body)
    if (fault !== undefined) throw asError(fault)
    const gone = connection === undefined ? clientGone(reply.raw) : closed(connection.socket)
    const headers = connection === undefined ? head.headers : asHandshake(head.headers)
    const relayed = await apis.run(name, requestOf({ ...head, headers, target }, body), head.caller, gone)
    // A new file may have taken the API away since.
    if (relayed === undefined) throw new ServiceError('route_unknown')
    if ('refused' in relayed) throw asError(relayed)
    if (!relayed.allowed) return deny(reply, relayed, place.address)
    if (connection === undefined || handshake === undefined) return send(request, reply, relayed)
    request.callerVerified()
    reply.hijack()
    connection.take()
    await sendWebSocket(connection.socket, relayed, handshake.key)
    return reply
  }

  describeResources(http, {
    ...{ path: describeApi.path, issuer },
    addressOf: (name) => apis.addressOf(name),
    toolServerOf: (name) => apis.get(name)?.toolServer,
  })
}

/** Whether a request opens a WebSocket, as far as Node must know it. Everything else about it is read later. */
const asksForWebSocket = ({ method, httpVersion, headers, rawHeaders }: IncomingMessage): boolean =>
  method === 'GET' &&
  httpVersion === '1.1' &&
  headers.upgrade?.toLowerCase() === 'websocket' &&
  !announcesBody(rawHeaders)

/** Sends each part as it arrives. No cache may keep it: the next answer needs its own decision. */
export async function send(
  request: HttpRequest,
  reply: HttpReply,
  { decisionId, executed, over }: Relayed,
): Promise<HttpReply> {
  request.callerVerified()
  reply.hijack()
  const { raw } = reply
  if (/^text\/event-stream/i.test(fieldOf(executed.headers, 'content-type') ?? '')) mayBeSilent(request, reply)
  const headers = [...executed.headers, 'cache-control', 'no-store', 'x-request-id', request.id]
  await sendExecuted(raw, { decisionId, executed: { ...executed, headers }, over })
  return reply
}
