import { type AnswerOf, issuerRoutes } from '@bailiwick/contracts/api'
import type { HttpServer } from '@bailiwick/host'
import type { Issuer } from '../context.ts'
import { registerRecovery } from '../registry/change-registry.ts'

const { path, body } = issuerRoutes.registerRecovery
type Answer = AnswerOf<typeof issuerRoutes.registerRecovery>

/**
 * `POST /operator/recoveries`, only on the operator's socket. It requires the root key's signature, and enrolled people have
 * 24 h to notice it. The answer means that the recovery is durable and counts.
 */
export function recoveryRoutes(operator: HttpServer, issuer: Issuer): void {
  operator.post(path, { schema: { body } }, async ({ body: { value, jws } }): Promise<Answer> => {
    const usableFrom = await registerRecovery(issuer, value, jws)
    return { recovery: value.id, approver_id: value.approver_id, usable_from: new Date(usableFrom).toISOString() }
  })
}
