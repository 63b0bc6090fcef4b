import { revocationKindSchema, saltedHashSchema } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/host'
import { z } from 'zod'
import type { Issuer } from '../context.ts'
import { whenApplied } from '../revocations/applied.ts'
import { casualtiesOf, isThere } from '../revocations/revocation-targets.ts'
import { revoke } from '../revocations/revoke.ts'

const targetSchema = z.strictObject({ kind: revocationKindSchema, target: z.string().min(1).max(2100) })
const bodySchema = targetSchema.extend({
  /** Stands for the operator's own words, which approval keeps: what would be here could not be erased. */
  reason: saltedHashSchema.optional(),
  /** Answer when every live instance was heard to apply it, or after so many ms. */
  wait_ms: z.int().min(1).max(20_000).optional(),
})
/** Items that are listed one by one; the rest is counted. */
const mostTold = 100

/**
 * Only on the operator's socket. `POST /operator/revocations`: the answer means that the revocation is durable and counts (V7).
 * `POST /operator/revocations/preview` shows what would end, and ends nothing.
 */
export function revocationRoutes(operator: HttpServer, issuer: Issuer): void {
  operator.post('/operator/revocations', { schema: { body: bodySchema } }, async ({ body }) => {
    const { kind, target, reason = 'ordered_by_operator', wait_ms } = body
    refuseUnlessThere(issuer, { kind, target })
    const by = { kind: 'operator', id: 'operator' } as const
    const { sequence, isNew } = await revoke(issuer, { kind, target, reason, by })
    const acknowledged_at = new Date(issuer.clock.now()).toISOString()
    const applied = wait_ms === undefined ? undefined : await whenApplied(issuer, wait_ms)
    return { kind, target, sequence, is_new: isNew, acknowledged_at, ...(applied === undefined ? {} : { applied }) }
  })
  operator.post('/operator/revocations/preview', { schema: { body: targetSchema } }, async ({ body }) => {
    refuseUnlessThere(issuer, body)
    const { grants, credentials, delegations } = casualtiesOf(issuer, body)
    return { ...body, grants: grants.slice(0, mostTold), grant_count: grants.length, credentials, delegations }
  })
}

function refuseUnlessThere(issuer: Issuer, named: z.infer<typeof targetSchema>): void {
  if (!isThere(issuer, named)) throw new ServiceError('entity_unknown', `there is no ${named.kind} of this name`)
}
