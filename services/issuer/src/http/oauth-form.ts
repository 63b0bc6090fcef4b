import { type answerWith, type HttpServer, problemOf } from '@bailiwick/host'
import type { FormCall, OAuthEndpoint } from '../tokens/client-call.ts'
import { challenge, OAuthError, oauthErrorBody, oauthErrorOf } from '../tokens/oauth-error.ts'

type Request = Parameters<typeof problemOf>[0]
type Reply = Parameters<typeof answerWith>[0]

/**
 * A route that takes an OAuth form (RFC 6749 §3.2, appendix B) and answers with OAuth errors, even if the form could not be
 * read. Every answer carries the nonce that the next proof needs (RFC 9449 §8.2), and no cache may keep it.
 */
export function oauthFormRoute(
  http: HttpServer,
  path: string,
  endpoint: OAuthEndpoint,
  answer: (call: FormCall) => Promise<object | undefined>,
): void {
  const begin = (reply: Reply) =>
    reply
      .header('cache-control', 'no-store')
      .header('pragma', 'no-cache')
      .header('dpop-nonce', endpoint.nonces.current())
  const refuse = (reply: Reply, { error, message, status, waitSeconds }: OAuthError) => {
    // RFC 9110 §15.5.2 requires a challenge. Of the registered schemes, only DPoP fits clients that have keys and no secrets.
    if (status === 401) reply.header('www-authenticate', challenge(error))
    if (waitSeconds !== undefined) reply.header('retry-after', String(waitSeconds))
    return reply.status(status).send(oauthErrorBody(error, message))
  }
  http.post(
    path,
    {
      config: { accepts: ['application/x-www-form-urlencoded'] },
      errorHandler: (error, request, reply) =>
        refuse(begin(reply), oauthErrorOf(problemOf(request, error), request.failure?.retryAfterSeconds)),
    },
    async (request, reply) => {
      begin(reply)
      try {
        return (await answer(formCallOf(request))) ?? reply.status(200).send()
      } catch (error) {
        if (!(error instanceof OAuthError)) throw error
        return refuse(reply, error)
      }
    },
  )
}

function formCallOf(request: Request): FormCall {
  const { body, headers, url } = request
  // RFC 6749 §2.3.1 and §3.2: parameters are in the body. Two places could contradict each other.
  if (url.includes('?')) throw new OAuthError('invalid_request', 'Parameters belong into the body, not into the URL.')
  const { dpop, authorization } = headers
  return {
    // Without a body there is no form, so its parameters are missing.
    form: (body ?? {}) as FormCall['form'],
    dpop: typeof dpop === 'string' ? dpop : dpop?.join(','),
    authorization: authorization !== undefined,
    callerVerified: () => request.callerVerified(),
  }
}
