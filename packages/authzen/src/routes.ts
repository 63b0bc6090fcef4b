import { authZenDescription, authZenOperations, type EvaluationsSemantic } from '@bailiwick/contracts/api'
import { errorCode, ServiceError, toProblem } from '@bailiwick/errors'
import { type HttpReply, type HttpRequest, type HttpServer, isConfidential, serviceErrorOf } from '@bailiwick/host'
import type { Clock } from '@bailiwick/kit'
import type { AuthZenCaller, AuthZenDecider, AuthZenDecision, AuthZenEvaluation, AuthZenSession } from './decider.ts'
import { authZenOpenApi } from './openapi.ts'
import type { PageTokens } from './page-tokens.ts'
import { readEvaluation, readEvaluations, readSearch } from './requests.ts'
import { searchAnswer } from './search-page.ts'

export interface AuthZenOptions {
  /** The server's own outside address. */
  publicUrl: string
  pageTokens: PageTokens
  clock: Clock
  /** The most items of one boxcar. */
  mostItems?: number
  /** The most bytes of a boxcar. */
  boxcarBytes?: number
  /** Whether callers need no credential. Only for the description: the decider admits callers. */
  open?: boolean
}

/** After this time no item of a boxcar is begun: the caller may have gone, and each decision takes budget. */
const boxcarMs = 10_000

/** The default paths (§10.1); each is in the metadata. */
export const authZenPaths = {
  access_evaluation_endpoint: authZenOperations.evaluation.path,
  access_evaluations_endpoint: authZenOperations.evaluations.path,
  search_subject_endpoint: authZenOperations.subject.path,
  search_resource_endpoint: authZenOperations.resource.path,
  search_action_endpoint: authZenOperations.action.path,
} as const

/** The HTTPS JSON binding of AuthZEN Authorization API 1.0 (§10.1): 200 for every decision, 4xx and 5xx for errors. */
export function authZenRoutes(http: HttpServer, decider: AuthZenDecider, options: AuthZenOptions): void {
  const { publicUrl, pageTokens, clock, mostItems = 256, boxcarBytes = 1_048_576, open = false } = options
  const sessions = new WeakMap<HttpRequest, AuthZenSession>()

  /** Refuses unauthenticated callers before a byte of the body is read. */
  const admit = async (request: HttpRequest, reply: HttpReply) => {
    echoRequestId(request, reply)
    try {
      sessions.set(request, decider.admit(callerOf(request)))
      request.callerVerified()
    } catch (error) {
      if (serviceErrorOf(error).code === 'caller_unauthenticated')
        reply.header('www-authenticate', `Bearer realm="${publicUrl}"`)
      throw error
    }
  }
  // §10.1.2 has no 415; the certification scenario, 2.4.3, requires 400.
  const config = { otherTypesAre: 'request_malformed' } as const
  type Answer = (session: AuthZenSession, body: unknown) => Promise<object>
  const route = (path: string, answer: Answer, more: { bodyLimit?: number } = {}) =>
    http.post(path, { onRequest: admit, config, ...more }, async (request, reply) => {
      const session = sessions.get(request)
      if (!session) throw new ServiceError('caller_unauthenticated')
      const given = await answer(session, request.body)
      const nonce = nonceIn(given)
      if (nonce !== undefined) reply.header('dpop-nonce', nonce)
      return sendJson(reply, given)
    })

  route(authZenPaths.access_evaluation_endpoint, (session, body) => session.evaluate(readEvaluation(body)))
  route(
    authZenPaths.access_evaluations_endpoint,
    async (session, body) => {
      const asked = readEvaluations(body, { items: mostItems, bytes: 4 * boxcarBytes })
      if ('single' in asked) return session.evaluate(asked.single)
      const evaluate = (item: AuthZenEvaluation | ServiceError) => evaluateItem(session, item, http.log)
      return { evaluations: await evaluateEach(asked.items, evaluate, { semantic: asked.semantic, clock }) }
    },
    { bodyLimit: boxcarBytes },
  )
  const description = authZenOpenApi(publicUrl, open)
  http.get(authZenDescription.describeAuthZen.path, async (_, reply) => {
    reply.header('cache-control', 'public, max-age=300')
    return description
  })
  for (const entity of ['subject', 'resource', 'action'] as const) {
    route(authZenPaths[`search_${entity}_endpoint`], async (session, body) => {
      const { search, page } = readSearch(entity, body)
      return searchAnswer(search, await session.search(search), page, pageTokens)
    })
  }
}

/**
 * §7.1.2.1. Evaluates all items at once, or one after the other up to the first that decides. Later items are then not decided: that
 * would take budget.
 */
async function evaluateEach<Item>(
  items: readonly Item[],
  evaluate: (item: Item) => Promise<AuthZenDecision>,
  { semantic, clock }: { semantic: EvaluationsSemantic; clock: Clock },
): Promise<AuthZenDecision[]> {
  if (semantic === 'execute_all') return Promise.all(items.map(evaluate))
  const last = semantic === 'permit_on_first_permit'
  const started = clock.monotonic()
  const decisions: AuthZenDecision[] = []
  for (const item of items) {
    const late = clock.monotonic() - started > boxcarMs
    const answered = late ? failed(new ServiceError('deadline_exceeded')) : await evaluate(item)
    decisions.push(answered)
    if (answered.decision === last) break
  }
  return decisions
}

/** §7.2.1: an error of one item becomes a denial of that item alone. */
async function evaluateItem(
  session: AuthZenSession,
  item: AuthZenEvaluation | ServiceError,
  log: HttpServer['log'],
): Promise<AuthZenDecision> {
  if (item instanceof ServiceError) return failed(item)
  try {
    return await session.evaluate(item)
  } catch (error) {
    if (errorCode(error) === 'internal') log.error({ err: error }, 'an evaluation failed')
    return failed(error)
  }
}

function failed(error: unknown): AuthZenDecision {
  const { status, code, title, detail } = toProblem(serviceErrorOf(error))
  return { decision: false, context: { error: { status, code, message: detail ?? title } } }
}

/**
 * RFC 9449 §8.2: the nonce that the next proof needs is also in a header field, where a server that passes answers on, and does not know
 * our format, looks for it. For a boxcar it is the nonce of the first item that needs one: all need the same.
 */
function nonceIn(given: object): string | undefined {
  const answers = 'evaluations' in given && Array.isArray(given.evaluations) ? given.evaluations : [given]
  const nonces = answers.map(({ context }: Partial<AuthZenDecision>) => context?.dpop_nonce)
  return nonces.find((nonce) => typeof nonce === 'string')
}

/** Sends bytes: for a string, fastify adds a charset, which RFC 8259 §11 does not define. */
export const sendJson = (reply: HttpReply, value: object) =>
  reply.type('application/json').send(Buffer.from(JSON.stringify(value)))

/** The facts about the caller in a request. */
export const callerOf = (request: HttpRequest): AuthZenCaller => ({
  authorization: request.headers.authorization,
  confidential: isConfidential(request),
  address: request.caller,
  isGone: () => request.raw.socket?.destroyed === true,
})

/** §10.1.3: echoes the identifier as it came, an arbitrary string. The log uses one of ours if the caller's could break a line. */
function echoRequestId({ headers }: HttpRequest, reply: HttpReply): void {
  const given = headers['x-request-id']
  if (typeof given === 'string' && given !== '') reply.header('x-request-id', given)
}
