import { agentRoutes } from '@bailiwick/contracts/api'
import { jwkSet, verifyingKey } from '@bailiwick/credentials'
import type { HttpServer } from '@bailiwick/host'
import type { Approval } from '../context.ts'

/**
 * The public keys with which recipients verify that a notification or a callback comes from here: those that the root certified for
 * this purpose and that are in force, as the registry has them.
 */
export function notificationKeyRoutes(http: HttpServer, { projection, clock }: Approval): void {
  http.get(agentRoutes.listNotificationKeys.path, async (_, reply) => {
    const now = clock.now()
    const keys = projection.ledger.registry.serviceKeys.flatMap(({ purpose, jwk, not_before, not_after }) => {
      const inForce = Date.parse(not_before) <= now && now < Date.parse(not_after)
      const key = purpose === 'notification' && inForce ? verifyingKey('notification', jwk) : undefined
      return key === undefined ? [] : [key]
    })
    return reply.header('cache-control', 'max-age=300').send(jwkSet(keys))
  })
}
