import type { Action } from '@bailiwick/credentials'
import { errorKinds, ServiceError } from '@bailiwick/errors'
import { readStrictJson } from '@bailiwick/kit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { AnswerGate } from './answer-gate.ts'
import type { Effect, EnforcementPoint, Permitted } from './enforcement-point.ts'
import { readPresented } from './presented.ts'
import { headersOfRefusal, problemOfRefusal, type Refusal } from './refusal.ts'

export interface BailiwickPepOptions {
  point: EnforcementPoint
  /**
   * The address that callers use for this API, without a path; a proof's `htu` is compared with it. It is configured and never taken from a
   * Host header, because the caller writes that.
   */
  baseUrl: string
  /**
   * Returns the action that a request stands for. It must include everything that the handler will act on, including query and path
   * parameters. `properties` may be the body as it was parsed: if that is not an object, the request is refused with `request_malformed`;
   * if there is none, the action has no arguments. Throw the same for any other request that is not a valid action. Called twice, before the
   * decision and before the execution.
   */
  toAction: (request: FastifyRequest) => Omit<Action, 'properties'> & { properties: unknown }
  /** The longest answer, in bytes. If the task limits the bytes of answers, this much is asked for from its budget. */
  mostBytes?: number
  /** How long an answer may stream, in seconds, if that is longer than the usual minute until an outcome (`Observed.answerSeconds`). */
  answerSeconds?: number
  /** Bytes that a handler sent anywhere except in its answer. The answer's own bytes are counted without it. */
  egressBytes?: (result: unknown, reply: FastifyReply) => number
}

/** The handler of a guarded route. It executes from `permitted.action`, and answers like any fastify handler. */
export type GuardedHandler = (permitted: Permitted, request: FastifyRequest, reply: FastifyReply) => Promise<unknown>

type RouteHandler = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>

/**
 * Makes `app` read JSON strictly, each body once, and returns the wrapper that guards a route: `app.post('/adjust', guarded(async ({ action
 * }) => …))`. A refusal is 401 with a DPoP challenge (RFC 9449 §7.1), or a problem document with the reason. A body over the route's limit
 * is refused with 413, never cut. Call it before routes are added, and after hooks that make answers longer: bytes that such a hook adds to
 * a checked answer are not measured. An answer that may not leave becomes 502 (`answer_withheld`).
 */
export function bailiwickPep(
  app: FastifyInstance,
  { point, baseUrl, toAction, mostBytes, answerSeconds, egressBytes }: BailiwickPepOptions,
): (handler: GuardedHandler) => RouteHandler {
  const { origin } = new URL(baseUrl)
  // A server that `@bailiwick/host` made already reads JSON strictly.
  if (!app.hasRequestDecorator('rawBody')) readJsonStrictly(app)
  const gates = new WeakMap<FastifyReply, AnswerGate>()
  app.addHook('onSend', async (_request, reply, payload) => gates.get(reply)?.hold(reply, payload) ?? payload)
  return (handler) => async (request, reply) => {
    const presented = readPresented(request.raw)
    if (!presented.ok) return refuse(reply, { allowed: false, reason: presented.reason })
    const guarded = await point.guard(
      {
        ...presented,
        htm: request.method,
        htu: `${origin}${pathOf(request)}`,
        action: () => withArguments(toAction(request)),
        holdsAnswer: true,
        mostBytes,
        answerSeconds,
      },
      async (permitted) => {
        reply.header('bailiwick-decision-id', permitted.decisionId)
        gates.set(reply, new AnswerGate(reply, permitted))
        return handler(permitted, request, reply)
      },
      async (result): Promise<Effect> => {
        const gate = gates.get(reply)
        await gate?.over()
        const status = (gate?.status ?? reply.statusCode) < 400 ? 'succeeded' : 'failed'
        const egress_bytes = (gate?.sent ?? 0) + (egressBytes?.(result, reply) ?? 0)
        if (gate?.cut !== undefined)
          return { status: 'unknown', http_status: reply.raw.statusCode, egress_bytes, cut: gate.cut }
        return { status, http_status: reply.raw.statusCode, egress_bytes }
      },
    )
    return guarded.allowed ? guarded.result : refuse(reply, guarded)
  }
}

/** Arguments are an object, and a request without a body has none. A body may also be a list, a text or null. */
function withArguments({ properties = {}, ...action }: ReturnType<BailiwickPepOptions['toAction']>): Action {
  if (typeof properties !== 'object' || properties === null || Array.isArray(properties))
    throw withStatus(new ServiceError('request_malformed', 'the arguments are not an object'))
  return { ...action, properties: properties as Action['properties'] }
}

/** The path of an origin-form target (RFC 9112 §3.2.1); an absolute target would bring the caller's own host. */
function pathOf(request: FastifyRequest): string {
  const [path = ''] = request.raw.url?.split('?') ?? []
  if (!path.startsWith('/')) throw withStatus(new ServiceError('request_malformed', 'the request target is no path'))
  return path
}

function refuse(reply: FastifyReply, refusal: Refusal): FastifyReply {
  const { status, ...problem } = problemOfRefusal(refusal)
  return reply
    .code(status)
    .headers(headersOfRefusal(refusal))
    .header('cache-control', 'no-store')
    .type('application/problem+json')
    .send(Buffer.from(JSON.stringify({ ...problem, status })))
}

/** Accepts only JSON: a body that two readers could understand differently is refused (DESIGN §9). */
function readJsonStrictly(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, bytes: Buffer, done) => {
    const json = readStrictJson(bytes, { maxBytes: bytes.length })
    if (json.ok) done(null, json.value)
    else done(withStatus(new ServiceError(json.code, json.detail)))
  })
}

/** Plain fastify takes the status from the error. */
function withStatus(error: ServiceError): ServiceError & { statusCode: number } {
  return Object.assign(error, { statusCode: errorKinds[error.code].status })
}
