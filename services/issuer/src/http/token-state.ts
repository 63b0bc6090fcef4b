import { issuerRoutes } from '@bailiwick/contracts/api'
import type { HttpServer } from '@bailiwick/host'
import { revokeCredential } from '../revocations/revoke-credential.ts'
import type { OAuthEndpoint } from '../tokens/client-call.ts'
import { introspect } from '../tokens/introspect.ts'
import { oauthFormRoute } from './oauth-form.ts'

/** `POST /oauth/introspect` (RFC 7662) and `POST /oauth/revoke` (RFC 7009). */
export function tokenStateRoutes(http: HttpServer, endpoint: OAuthEndpoint): void {
  oauthFormRoute(http, issuerRoutes.introspectToken.path, endpoint, async (call) => introspect(endpoint, call))
  oauthFormRoute(http, issuerRoutes.revokeToken.path, endpoint, async (call) => {
    await revokeCredential(endpoint, call)
    return undefined
  })
}
