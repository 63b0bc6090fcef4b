import type { Issuer } from '../context.ts'
import { OAuthError } from './oauth-error.ts'

/** RFC 8707. Without `resource` the credential is for every enforcement point of this installation. */
export function audienceOf({ trust, projection }: Issuer, resource: string | undefined): string {
  if (resource === undefined) return trust.public_url
  const points = projection.ledger.registry.all('enforcement-point')
  if (resource === trust.public_url || points.some((point) => point.base_urls.includes(resource))) return resource
  throw new OAuthError('invalid_target', 'No enforcement point has this base URL.')
}
