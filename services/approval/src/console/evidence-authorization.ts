import { randomBytes } from 'node:crypto'
import { type SigningKey, signClientAssertion, type Trust, thumbprint } from '@bailiwick/credentials'
import type { Voice } from '@bailiwick/instance'
import type { Clock } from '@bailiwick/kit'
import type { EvidenceAuthorization } from './evidence-reader.ts'

const lifeSeconds = 60

/**
 * Authenticates this service to a remote evidence service, from which it reads for people who are signed in here. It acts as the
 * auditor that is registered with its key, which may only read, and makes a client assertion (RFC 7523) for this installation's log.
 */
export function evidenceAuthorization(
  key: SigningKey<'auditor'>,
  { trust, projection, clock }: { trust: Trust; projection: Voice['projection']; clock: Clock },
): EvidenceAuthorization {
  // The name of a vkey contains no plus (C2SP signed-note), and is the log's origin.
  const [aud = ''] = trust.log.vkey.split('+')
  return () => {
    const own = projection.ledger.registry.all('auditor').find(({ jwk }) => thumbprint(jwk) === key.kid)
    if (own === undefined) return undefined
    const iat = Math.floor(clock.now() / 1000)
    const jti = randomBytes(16).toString('base64url')
    const claims = { iss: own.id, sub: own.id, aud, iat, exp: iat + lifeSeconds, jti }
    return `Bearer ${signClientAssertion(claims, key)}`
  }
}
