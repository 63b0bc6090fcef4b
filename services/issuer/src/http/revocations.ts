import { type RevocationKind, revocationKindSchema } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
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
    if (!exists(issuer, kind, target)) throw new ServiceError('entity_unknown', `there is no ${kind} of this name`)
    const { sequence } = await revoke(issuer, { kind, target, reason, by: { kind: 'operator', id: 'operator' } })
    return { kind, target, sequence, acknowledged_at: new Date(issuer.clock.now()).toISOString() }
  })
}

/** A misspelt name must not look like success. What is dead already, and delegations, which have no state of their own, may be said. */
function exists({ projection }: Issuer, kind: RevocationKind, target: string): boolean {
  const { grants, registry, revocations } = projection.ledger
  if (revocations.find(kind, target)) return true
  switch (kind) {
    case 'all':
      return target === '*'
    case 'grant':
      return grants.trees.has(target)
    case 'credential':
      return [...grants.trees.values()].some(({ credentials }) => credentials.has(target))
    case 'agent':
      return registry.record('agent', target) !== undefined || registry.instance(target) !== undefined
    case 'approver':
    case 'tool-server':
      return registry.record(kind, target) !== undefined
    case 'delegation':
      return true
  }
}
