import { type AnswerOf, issuerRoutes } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/host'
import type { Issuer } from '../context.ts'
import { whenApplied } from '../revocations/applied.ts'
import { casualtiesOf, isThere, type Target } from '../revocations/revocation-targets.ts'
import { revoke } from '../revocations/revoke.ts'

const { revoke: order, previewRevocation: preview } = issuerRoutes
/** Items that are listed one by one; the rest is counted. */
const mostTold = 100

/**
 * Only on the operator's socket. `POST /operator/revocations`: the answer means that the revocation is durable and counts (V7).
 * `POST /operator/revocations/preview` shows what would end, and ends nothing.
 */
export function revocationRoutes(operator: HttpServer, issuer: Issuer): void {
  operator.post(order.path, { schema: { body: order.body } }, async ({ body }): Promise<AnswerOf<typeof order>> => {
    const { kind, target, reason = 'ordered_by_operator', wait_ms } = body
    refuseUnlessThere(issuer, { kind, target })
    const by = { kind: 'operator', id: 'operator' } as const
    const { sequence, isNew } = await revoke(issuer, { kind, target, reason, by })
    const acknowledged_at = new Date(issuer.clock.now()).toISOString()
    const applied = wait_ms === undefined ? undefined : await whenApplied(issuer, wait_ms)
    return { kind, target, sequence, is_new: isNew, acknowledged_at, ...(applied === undefined ? {} : { applied }) }
  })
  operator.post(
    preview.path,
    { schema: { body: preview.body } },
    async ({ body }): Promise<AnswerOf<typeof preview>> => {
      refuseUnlessThere(issuer, body)
      const { grants, credentials, delegations } = casualtiesOf(issuer, body)
      return { ...body, grants: grants.slice(0, mostTold), grant_count: grants.length, credentials, delegations }
    },
  )
}

function refuseUnlessThere(issuer: Issuer, named: Target): void {
  if (!isThere(issuer, named)) throw new ServiceError('entity_unknown', `there is no ${named.kind} of this name`)
}
