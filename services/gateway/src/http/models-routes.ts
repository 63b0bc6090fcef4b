import { gatewayRoutes } from '@bailiwick/contracts/api'
import { errorCode, ServiceError } from '@bailiwick/errors'
import { type HttpReply, type HttpRequest, type HttpServer, httpLimits } from '@bailiwick/host'
import { type CheckedHead, checkHead, clientGone, type Refused, requestOf, sendExecuted } from '@bailiwick/relay'
import { deniedError, failedError, type ModelError, refusedError } from '../models/model-answers.ts'
import type { ModelProvider } from '../models/model-provider.ts'

const { callModel, listModels } = gatewayRoutes

export interface ModelsRoutesOptions {
  /** The providers in use, by name. */
  provider: (name: string) => ModelProvider | undefined
  /** The gateway's own address, without a path. */
  publicUrl: string
}

/** The longest request: images stand in it. */
const bodyLimit = 16 * 1024 * 1024
/** An answer ends with its grant or at its own limit, not with a clock. */
const never = 2 ** 31 - 1

/** `/models/<name>/v1/…`: the API of a provider of models. Below a name, the paths are the provider's. */
export function modelsRoutes(http: HttpServer, { provider, publicUrl }: ModelsRoutesOptions): void {
  http.route({
    method: [callModel, listModels].map(({ method }) => method),
    url: callModel.path,
    exposeHeadRoute: false,
    config: { accepts: 'anything', handlerMs: never },
    bodyLimit,
    async handler(request, reply) {
      const { name } = request.params as { name: string }
      const found = provider(name)
      if (found === undefined) throw new ServiceError('route_unknown')
      return answer(found, name, request, reply)
    },
  })

  const answer = async (found: ModelProvider, name: string, request: HttpRequest, reply: HttpReply) => {
    const { rawHeaders, method = '', url = '' } = request.raw
    const { api } = found
    const head = checkHead({ method, target: url, rawHeaders }, publicUrl)
    if ('refused' in head) return send(reply, refusedError(api, head))
    if ('ok' in head) return send(reply, deniedError(api, { allowed: false, reason: head.reason }))
    const within = below(head, `/models/${name}`)
    if ('refused' in within) return send(reply, refusedError(api, within))
    const gone = clientGone(reply.raw)
    try {
      const relayed = await found.call(requestOf(within, request.rawBody ?? Buffer.alloc(0)), head.caller, gone)
      if ('refused' in relayed) return send(reply, refusedError(api, relayed))
      if (!relayed.allowed) return send(reply, deniedError(api, relayed))
      request.callerVerified()
      reply.hijack()
      request.raw.socket.setTimeout(0)
      reply.raw.once('close', () => request.raw.socket.setTimeout(httpLimits.silenceMs))
      await sendExecuted(reply.raw, relayed)
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
