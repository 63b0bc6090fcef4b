import { type AnswerOf, issuerRoutes } from '@bailiwick/contracts/api'
import type { HttpServer } from '@bailiwick/host'
import type { OAuthEndpoint } from '../tokens/client-call.ts'
import { answerToken } from '../tokens/token-endpoint.ts'
import { oauthFormRoute } from './oauth-form.ts'

const { path } = issuerRoutes.issueToken
type Answer = AnswerOf<typeof issuerRoutes.issueToken>

/** `POST /oauth/token` (RFC 6749 §5.1, RFC 9449 §5, RFC 9396 §7). */
export function tokenRoute(http: HttpServer, endpoint: OAuthEndpoint): void {
  oauthFormRoute(http, path, endpoint, async (call): Promise<Answer> => {
    const minted = await answerToken(endpoint, call)
    return {
      access_token: minted.token,
      ...(minted.issuedTokenType === undefined ? {} : { issued_token_type: minted.issuedTokenType }),
      token_type: 'DPoP',
      expires_in: minted.expiresInSeconds,
      // Our own member (RFC 6749 §5.1 lets clients ignore it): a delegating agent must not promise more time than it has.
      grant_expires_at: minted.grantEndsAt,
      authorization_details: minted.authorizationDetails,
    }
  })
}
