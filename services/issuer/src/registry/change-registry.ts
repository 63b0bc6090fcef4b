import { bringsSecond, recoveryDelayMs, verifyAuthorization } from '@bailiwick/approval-statement'
import type { Authorization, EntityChange, EventData, Recovery, RegistryStatement } from '@bailiwick/contracts'
import { jcsHash } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Draft } from '@bailiwick/instance'
import type { Issuer } from '../context.ts'

/**
 * Writes an approved change into the registry, each entity with the approvers' assertions, in the order in which they signed the entities.
 * Stops at the first entity that does not count: the rest was signed for a registry that does not exist.
 */
export async function applyRegistryChange(
  issuer: Issuer,
  approved: EventData<'approvals.v1', 'request.approved'>,
  entities: readonly EntityChange[],
): Promise<void> {
  const { statement, assertions } = approved
  if (statement.kind !== 'registry') throw new ServiceError('registry_change_refused', 'not a registry statement')
  const authorization: Authorization = { kind: 'approvers', statement, assertions }
  warnOfLenience(issuer, statement, entities)
  for (const entity of entities) await writeEntity(issuer, entity, authorization)
}

/**
 * Makes an approver of a passkey that the holder of the invitation or of a recovery signed for. Every reader checks it again. An approver
 * made by a recovery replaces the lost passkeys.
 */
export async function enrolApprover(
  issuer: Issuer,
  offered: EventData<'approvals.v1', 'enrolment.offered'>,
): Promise<void> {
  const { approver_id: id, name, groups, credential_id, public_key, sign_count, invitation, recovery } = offered
  const { registry } = issuer.projection.ledger
  const { enrolled, recoveries } = registry.view()
  if (recovery === undefined ? enrolled : recoveries.get(recovery)?.used) return
  const registered_at = new Date(issuer.clock.now()).toISOString()
  const value = { id, name, groups, credentials: [{ credential_id, public_key, sign_count, registered_at }] }
  const version = (registry.record('approver', id)?.version ?? 0) + 1
  const change = { type: 'approver' as const, id, version, after: jcsHash(value), value }
  if (recovery === undefined) return writeEntity(issuer, change, { kind: 'invitation', jws: invitation })
  await writeEntity(issuer, change, { kind: 'recovery', recovery, jws: invitation })
  issuer.logger.warn({ recovery, approver: id }, 'RECOVERY USED: an approver was enrolled on the root key’s word')
}

/**
 * Takes in a recovery that the root key signed. Returns the time from which it can be used, in ms since the epoch. Asking again with the
 * same recovery returns the same time. Throws `registry_change_conflict` for a different recovery of the same name.
 */
export async function registerRecovery(issuer: Issuer, value: Recovery, jws: string): Promise<number> {
  const { registry } = issuer.projection.ledger
  const after = jcsHash(value)
  const known = registry.record('recovery', value.id)
  if (known === undefined)
    await writeEntity(issuer, { type: 'recovery', id: value.id, version: 1, after, value }, { kind: 'root', jws })
  const taken = registry.view().recoveries.get(value.id)
  if (taken === undefined || jcsHash(taken.value) !== after)
    throw new ServiceError('registry_change_conflict', 'there was another recovery of this name')
  const usableFrom = taken.takenAt + recoveryDelayMs
  const usable_from = new Date(usableFrom).toISOString()
  if (known === undefined)
    issuer.logger.warn({ recovery: value.id, approver: value.approver_id, usable_from }, 'RECOVERY REGISTERED')
  return usableFrom
}

/** If the rules let one person act alone, that is logged loudly. */
function warnOfLenience(
  { trust, projection, logger }: Issuer,
  { change_id, proposer, entities }: RegistryStatement,
  changes: readonly EntityChange[],
): void {
  const facts = { change: change_id, proposer, entities: entities.map(({ type, id }) => `${type} ${id}`) }
  if (trust.single_operator) logger.warn(facts, 'SINGLE OPERATOR: one person may change the registry alone')
  else if (bringsSecond(entities, changes[0]?.value, projection.ledger.registry.view()))
    logger.warn(facts, 'ONE APPROVER BRINGS IN THE SECOND ALONE: from then on each change takes two people')
}

/** Writes the entity unless it is there already. Refuses what readers would refuse. */
export async function writeEntity(issuer: Issuer, change: EntityChange, authorization: Authorization): Promise<void> {
  const { type, id, version, value, after } = change
  const { registry } = issuer.projection.ledger
  const record = registry.record(type, id)
  if (record !== undefined && record.version >= version) return // written before a restart
  // Judged here too, so that a stolen approval service cannot fill the registry with entities that every reader then refuses.
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
