import { gatewayRoutes } from '@bailiwick/contracts/api'
import { errorCode, ServiceError } from '@bailiwick/errors'
import { type HttpReply, type HttpRequest, type HttpServer, networkOf } from '@bailiwick/host'
import { refusal } from '@bailiwick/pep'
import {
  type CheckedHead,
  checkHead,
  clientGone,
  fieldOf,
  type Refused,
  requestOf,
  sendExecuted,
} from '@bailiwick/relay'
import { deniedError, failedError, type ModelError, refusedError } from '../models/model-answers.ts'
import type { ModelProvider } from '../models/model-provider.ts'
import type { RouteOptions } from './decide-at.ts'
import { LargeBodies } from './large-bodies.ts'
import { announcesBody, bodyFault, mayBeSilent, never, refuseOrigin, versionFault } from './request-rules.ts'

const { callModel, listModels } = gatewayRoutes

/** The longest request: images stand in it. */
const bodyLimit = 16 * 1024 * 1024

/** `/models/<name>/v1/…`: the API of a provider of models. Below a name, the paths are the provider's. */
export function modelsRoutes(
  http: HttpServer,
  provider: (name: string) => ModelProvider | undefined,
  { publicUrl, origins }: RouteOptions,
): void {
  const { origin } = new URL(publicUrl)
  const bodies = new LargeBodies()
  const find = (request: HttpRequest) => {
    const { name } = request.params as { name: string }
    const found = provider(name)
    if (found === undefined) throw new ServiceError('route_unknown')
    return { name, found }
  }
  http.route({
    method: [callModel, listModels].map(({ method }) => method),
    url: callModel.path,
    exposeHeadRoute: false,
    config: { accepts: 'anything', handlerMs: never },
    bodyLimit,
    /** Runs before the body is read. A request without a credential is answered here. */
    async onRequest(request, reply) {
      const { rawHeaders } = request.raw
      if (!announcesBody(rawHeaders)) return undefined
      const { api } = find(request).found
      if (fieldOf(rawHeaders, 'authorization') === undefined)
        return send(reply.header('connection', 'close'), deniedError(api, refusal('credential_missing')))
      const length = Number(fieldOf(rawHeaders, 'content-length') ?? bodyLimit)
      try {
        reply.raw.once('close', bodies.take(networkOf(request.caller), length))
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error
        return send(reply.header('connection', 'close'), failedError(api, error))
      }
      return undefined
    },
    async handler(request, reply) {
      const { name, found } = find(request)
      return answer(found, name, request, reply)
    },
  })

  const answer = async (found: ModelProvider, name: string, request: HttpRequest, reply: HttpReply) => {
    const { rawHeaders, method = '', url = '' } = request.raw
    const { api } = found
    const old = versionFault(request.raw)
    if (old !== undefined) return send(reply, refusedError(api, old))
    refuseOrigin(request, new Set([origin, ...origins()]))
    const head = checkHead({ method, target: url, rawHeaders }, publicUrl)
    if ('refused' in head) return send(reply, refusedError(api, head))
    if ('ok' in head) return send(reply, deniedError(api, { allowed: false, reason: head.reason }))
    const within = below(head, `/models/${name}`)
    if ('refused' in within) return send(reply, refusedError(api, within))
    const body = request.rawBody ?? Buffer.alloc(0)
    request.rawBody = undefined // the call has its own copy of what it sends, for as long as its answer flows
    const fault = bodyFault(request.raw, body)
    if (fault !== undefined) return send(reply, refusedError(api, fault))
    const gone = clientGone(reply.raw)
    try {
      const relayed = await found.call(requestOf(within, body), head.caller, gone)
      if ('refused' in relayed) return send(reply, refusedError(api, relayed))
      if (!relayed.allowed) return send(reply, deniedError(api, relayed))
      request.callerVerified()
      reply.hijack()
      mayBeSilent(request, reply)
      // No cache may keep it: the next answer needs its own decision.
      const headers = [...relayed.executed.headers, 'cache-control', 'no-store']
      await sendExecuted(reply.raw, { ...relayed, executed: { ...relayed.executed, headers } })
      return reply
    } catch (error) {
      if (error instanceof ServiceError) return send(reply, failedError(api, error))
      throw new ServiceError(errorCode(error), undefined, { cause: error })
    }
  }
}

/** The path as the provider has it. The proof stays for the whole address, as the client called it. */
function below(head: CheckedHead, prefix: string): CheckedHead | Refused {
  if (!head.target.startsWith(`${prefix}/`)) return { refused: 'target_form_forbidden', detail: 'the path' }
  return { ...head, target: head.target.slice(prefix.length) }
}

function send(reply: HttpReply, { status, headers, body }: ModelError) {
  return reply
    .code(status)
    .headers(headers)
    .type('application/json')
    .send(Buffer.from(JSON.stringify(body)))
}
