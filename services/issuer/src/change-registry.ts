import { verifyAuthorization } from '@bailiwick/approval-statement'
import type { Authorization, EntityChange, EventData } from '@bailiwick/contracts'
import { jcsHash } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Draft } from '@bailiwick/projection'
import type { Issuer } from './context.ts'

/**
 * Writes an approved change into the registry, each entity with the approvers' assertions, in the order that they signed. It
 * stops at the first entity that does not count: the rest was signed for a registry that is not there.
 */
export async function applyRegistryChange(
  issuer: Issuer,
  approved: EventData<'approvals.v1', 'request.approved'>,
  entities: readonly EntityChange[],
): Promise<void> {
  const { statement, assertions } = approved
  if (statement.kind !== 'registry') throw new ServiceError('registry_change_refused', 'not a registry statement')
  const authorization: Authorization = { kind: 'approvers', statement, assertions }
  for (const entity of entities) await writeEntity(issuer, entity, authorization)
}

/** Makes the first approver of a passkey that the invitation's holder signed for; every reader checks it again. */
export async function enrolApprover(
  issuer: Issuer,
  offered: EventData<'approvals.v1', 'enrolment.offered'>,
): Promise<void> {
  const { approver_id, name, groups, credential_id, public_key, sign_count, invitation } = offered
  if (issuer.projection.ledger.registry.view().enrolled) return
  const value = {
    id: approver_id,
    name,
    groups,
    credentials: [{ credential_id, public_key, sign_count, registered_at: new Date(issuer.clock.now()).toISOString() }],
  }
  const change = { type: 'approver' as const, id: approver_id, version: 1, after: jcsHash(value), value }
  await writeEntity(issuer, change, { kind: 'invitation', jws: invitation })
}

async function writeEntity(issuer: Issuer, change: EntityChange, authorization: Authorization): Promise<void> {
  const { type, id, version, value, after } = change
  const { registry } = issuer.projection.ledger
  const record = registry.record(type, id)
  if (record !== undefined && record.version >= version) return // written before a restart
  // Judged here too, so that a stolen approval service cannot fill the registry with what every reader then refuses.
  const judged = await verifyAuthorization({
    authorization,
    entity: { type, id },
    version,
    before: record?.hash,
    value,
    after,
    at: issuer.clock.now(),
    registry: registry.view(),
    anchor: issuer.keyRing,
  })
  if (!judged.ok) throw new ServiceError(judged.code, judged.detail)
  const verb = value === undefined ? 'retired' : record?.value === undefined ? 'registered' : 'changed'
  const data = { entity: { type, id }, ...(value === undefined ? {} : { value, hash: after }), authorization }
  await issuer.producer.publishOne('registry.v1', {
    type: `${type}.${verb}`,
    subject: `${type} ${id}`,
    version,
    data,
  } as Draft<'registry.v1'>)
}
