import { type HttpServer, problemOf } from '@bailiwick/service-kit'
import { issueToken, type TokenEndpoint } from '../issue-token.ts'
import { OAuthError, oauthErrorBody, sentence } from '../oauth-error.ts'

/** `POST /oauth/token` (RFC 6749 §3.2, RFC 9449 §5): parse, call, answer. */
export function tokenRoute(http: HttpServer, endpoint: TokenEndpoint): void {
  http.post(
    '/oauth/token',
    {
      config: { accepts: ['application/x-www-form-urlencoded'] },
      // A form that cannot be read is answered as OAuth clients expect (RFC 6749 §5.2), not as a problem document.
      errorHandler: (error, request, reply) => {
        const { code, status } = problemOf(request, error)
        return reply
          .header('cache-control', 'no-store')
          .status(status)
          .send(oauthErrorBody(status < 500 ? 'invalid_request' : 'server_error', sentence(code)))
      },
    },
    async (request, reply) => {
      reply.header('cache-control', 'no-store').header('dpop-nonce', endpoint.nonces.current())
      const dpop = request.headers.dpop
      try {
        const minted = await issueToken(endpoint, {
          // Without a body there is no form: its parameters are missing.
          form: (request.body ?? {}) as Record<string, string>,
          // Two header fields arrive joined by a comma, which no proof contains.
          dpop: typeof dpop === 'string' && !dpop.includes(',') ? dpop : undefined,
        })
        return {
          access_token: minted.token,
          token_type: 'DPoP',
          expires_in: minted.expiresInSeconds,
          authorization_details: minted.authorizationDetails,
        }
      } catch (error) {
        if (!(error instanceof OAuthError)) throw error
        return reply.status(error.status).send(oauthErrorBody(error.error, error.message))
      }
    },
  )
}
