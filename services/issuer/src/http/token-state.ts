import type { HttpServer } from '@bailiwick/host'
import type { OAuthEndpoint } from '../client-call.ts'
import { introspect } from '../introspect.ts'
import { revokeCredential } from '../revoke-credential.ts'
import { oauthFormRoute } from './oauth-form.ts'

/** `POST /oauth/introspect` (RFC 7662) and `POST /oauth/revoke` (RFC 7009). */
export function tokenStateRoutes(http: HttpServer, endpoint: OAuthEndpoint): void {
  oauthFormRoute(http, '/oauth/introspect', endpoint, async (call) => introspect(endpoint, call))
  oauthFormRoute(http, '/oauth/revoke', endpoint, async (call) => {
    await revokeCredential(endpoint, call)
    return undefined
  })
}
