import { revocationKindSchema } from '@bailiwick/contracts'
import type { HttpServer } from '@bailiwick/service-kit'
import { z } from 'zod'
import type { Issuer } from '../context.ts'
import { revoke } from '../revoke.ts'

const bodySchema = z.strictObject({
  kind: revocationKindSchema,
  target: z.string().min(1).max(2100),
  reason: z.string().min(1).max(200),
})

/** `POST /operator/revocations`, on the operator's socket alone. The answer means: durable, and it counts (V7). */
export function revocationRoutes(operator: HttpServer, issuer: Issuer): void {
  operator.post('/operator/revocations', { schema: { body: bodySchema } }, async (request) => {
    const { kind, target, reason } = bodySchema.parse(request.body)
    const { sequence } = await revoke(issuer, { kind, target, reason, by: { kind: 'operator', id: 'operator' } })
    return { kind, target, sequence, acknowledged_at: new Date(issuer.clock.now()).toISOString() }
  })
}
