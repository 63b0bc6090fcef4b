import type { IncomingMessage } from 'node:http'
import { gatewayRoutes } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import { type HttpReply, type HttpRequest, type HttpServer, upgradable } from '@bailiwick/host'
import { asHandshake, readHandshake, sendWebSocket } from '@bailiwick/relay'
import type { Apis, Place } from '../proxy/apis.ts'
import { type Asked, answerAt, decideAt, type RouteOptions } from './decide-at.ts'
import { announcesBody, asError, never } from './request-rules.ts'
import { describeResources, metadataPath, sendMetadata } from './resource-metadata.ts'

const { getFromApi, postToApi, putToApi, patchAtApi, deleteAtApi, optionsOfApi, describeApi } = gatewayRoutes
const routes = [getFromApi, postToApi, putToApi, patchAtApi, deleteAtApi, optionsOfApi]
/** The longest body of a request. */
const bodyLimit = 1024 * 1024
/** Before the path of a request for a host of an API. No name of an API is like it. */
const atHost = '/http/@host'

/**
 * HTTP APIs, each at `/http/<name>/…` or at a host of its own, and their metadata as protected resources (RFC 9728). Add these routes before
 * the server listens.
 */
export function apiRoutes(
  http: HttpServer,
  apis: Pick<Apis, 'get' | 'byPath' | 'placeByPath' | 'placeByHost'>,
  options: RouteOptions,
): void {
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
  const takes = upgradable(http, (raw) => {
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
      return sendMetadata(reply, { name, address, toolServer: apis.get(name)?.toolServer }, options.issuer)
    },
  })

  /** `url`: the target as it was sent. */
  async function answer(
    request: HttpRequest,
    reply: HttpReply,
    url: string,
    place: Place | undefined,
  ): Promise<HttpReply> {
    const connection = takes(request.raw)
    let key = ''
    const read = (): Asked => {
      const entry = place && apis.get(place.name)
      const target = place?.target ?? ''
      if (connection === undefined) return { entry, target, url }
      const handshake = readHandshake(request.raw.rawHeaders)
      if ('refused' in handshake) throw asError(handshake)
      key = handshake.key
      // It would be forwarded to a server that did not agree to anything yet.
      if (connection.head.length > 0) throw new ServiceError('request_malformed', 'bytes after the head')
      return {
        ...{ entry, target, url },
        leaving: { socket: connection.socket, fields: handshake.headers, sent: asHandshake },
      }
    }
    if (connection === undefined) return answerAt(request, reply, options, read)
    const relayed = await decideAt(request, reply, options, read)
    if (relayed === undefined) return reply
    connection.take()
    await sendWebSocket(connection.socket, relayed, key)
    return reply
  }

  describeResources(http, describeApi.path, options.issuer, (name) => apis.byPath(name))
}

/** Whether a request opens a WebSocket, as far as Node must know it. Everything else about it is read later. */
const asksForWebSocket = ({ method, httpVersion, headers, rawHeaders }: IncomingMessage): boolean =>
  method === 'GET' &&
  httpVersion === '1.1' &&
  headers.upgrade?.toLowerCase() === 'websocket' &&
  !announcesBody(rawHeaders)
