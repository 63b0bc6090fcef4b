import type { Approver, RegistryStatement, Rule } from '@bailiwick/contracts'
import { jcsHash, type Refused } from '@bailiwick/credentials'
import type { AuthorizationCheck } from './authorization-check.ts'
import { ceilingProblem } from './emergency.ts'
import { registryRuleId } from './match-rule.ts'
import { refused } from './refused.ts'
import { holdersOf } from './verify-signers.ts'

/** A change of one entity, and the approvers enrolled before it. */
export type ChangeContent = Pick<AuthorizationCheck, 'entity' | 'version' | 'before' | 'value' | 'after'> & {
  registry: { readonly approvers: ReadonlyMap<string, Approver> }
}

/**
 * Checks what must hold for a registry change regardless of its signers. The value must match the hash and the entity's name, and at least
 * one person who can approve must remain: governance that no person can exercise would be governance switched off. Never throws.
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
  // If a recovery could be changed, or could come back, its delay would be over before it began.
  if (entity.type === 'recovery' && version !== 1) return no('value: a recovery is registered once')
  if (entity.type === 'rule') return ruleProblem(value as Rule)
  return entity.type === 'approver' ? passkeysProblem(value as Approver, registry.approvers) : undefined
}

/** `matchRule` never uses the rule `registry`: with a ceiling it would read as harmless, and its group would change the registry. */
function ruleProblem(rule: Rule): Refused | undefined {
  return rule.id === registryRuleId && rule.emergency !== undefined
    ? no('value: the rule of the registry is not for emergencies')
    : ceilingProblem(rule)
}

/** The last approver must not be retired: no approver could then let anyone in. */
function lastOneProblem(id: string, enrolled: ReadonlyMap<string, Approver>): Refused | undefined {
  return [...enrolled.keys()].some((other) => other !== id) ? undefined : no('retires the last approver')
}

/** One passkey under two names would count as two people in every quorum. Without a passkey, the last approver could never sign. */
function passkeysProblem(approver: Approver, enrolled: ReadonlyMap<string, Approver>): Refused | undefined {
  if (approver.credentials.length === 0) return no('value: an approver without a passkey')
  const others = [...enrolled.values()].filter(({ id }) => id !== approver.id)
  const keys = new Set(others.flatMap(({ credentials }) => credentials.map(({ public_key }) => public_key)))
  return approver.credentials.some((own) => keys.has(own.public_key) || holdersOf(own.credential_id, others).length > 0)
    ? no('value: a passkey of another approver')
    : undefined
}

/**
 * Whether this change only retires recoveries. Any single approver may do that alone, including the proposer, even if the registry's rule
 * requires more. Such a change lets no one in, and the second signer might be the very person whose passkeys were lost.
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
