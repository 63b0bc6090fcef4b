import type { Approver, RegistryStatement } from '@bailiwick/contracts'
import { jcsHash, type Refused } from '@bailiwick/credentials'
import type { AuthorizationCheck } from './authorization-check.ts'
import { refused } from './refused.ts'
import { holdersOf } from './verify-signers.ts'

/** A change of one entity, and the approvers that there are before it. */
export type ChangeContent = Pick<AuthorizationCheck, 'entity' | 'version' | 'before' | 'value' | 'after'> & {
  registry: { readonly approvers: ReadonlyMap<string, Approver> }
}

/**
 * What must hold of a registry change whoever signs it: the value is the one that the hash and the entity's name say, and
 * somebody is left who can approve. Governance that nobody can exercise would be governance switched off. Never throws.
 */
export function contentProblem({
  entity,
  value,
  after,
  before,
  version,
  registry,
}: ChangeContent): Refused | undefined {
  if (version === 1 && before !== undefined) return no('version 1 of something that is there')
  if (value === undefined) {
    if (after !== undefined) return no('after: of nothing')
    if (before === undefined) return no('nothing to retire')
    return entity.type === 'approver' ? lastOneProblem(entity.id, registry.approvers) : undefined
  }
  if (value.id !== entity.id) return no('value: another id than the entity')
  if (hashOf(value) !== after) return no('after: not the hash of the value')
  // A recovery that could be changed, or come back, would end its delay before it began.
  if (entity.type === 'recovery' && version !== 1) return no('value: a recovery is registered once')
  return entity.type === 'approver' ? passkeysProblem(value as Approver, registry.approvers) : undefined
}

/** Who was the last could not be followed by anybody whom an approver let in. */
function lastOneProblem(id: string, enrolled: ReadonlyMap<string, Approver>): Refused | undefined {
  return [...enrolled.keys()].some((other) => other !== id) ? undefined : no('retires the last approver')
}

/** One passkey with two names would be two people in every quorum; without any, the last approver could never sign. */
function passkeysProblem(approver: Approver, enrolled: ReadonlyMap<string, Approver>): Refused | undefined {
  if (approver.credentials.length === 0) return no('value: an approver without a passkey')
  const others = [...enrolled.values()].filter(({ id }) => id !== approver.id)
  const keys = new Set(others.flatMap(({ credentials }) => credentials.map(({ public_key }) => public_key)))
  return approver.credentials.some((own) => keys.has(own.public_key) || holdersOf(own.credential_id, others).length > 0)
    ? no('value: a passkey of another approver')
    : undefined
}

/**
 * Whether this change does nothing but retire recoveries: what any one approver may do alone, the proposer too, whatever the
 * registry's rule asks for. It lets nobody in, and who would have to sign beside the one who is still there may be who is lost.
 */
export function onlyObjects(
  entities: readonly Pick<RegistryStatement['entities'][number], 'type' | 'after'>[],
): boolean {
  return entities.every(({ type, after }) => type === 'recovery' && after === undefined)
}

function hashOf(value: unknown): string | undefined {
  try {
    return jcsHash(value)
  } catch {
    return undefined
  }
}

/** `registry_change_refused`, with the step that failed. */
export function no(detail: string): Refused {
  return refused('registry_change_refused', detail)
}
