import type { Approver, RegistryStatement } from '@bailiwick/contracts'
import type { Refused } from '@bailiwick/credentials'
import type { AuthorizationCheck } from './authorization-check.ts'
import { no, onlyObjects } from './change-content.ts'
import { registryRuleId } from './match-rule.ts'
import { bringsSecond } from './people-needed.ts'
import { refused } from './refused.ts'

/**
 * A change by a statement of version 1, from the time before changes took two people: one person was enough if another name had proposed
 * it. It counts only in an installation of that time, before the first change of version 2, because a thief must not be able to choose the
 * older rule.
 */
export function byOneOfOld(
  { entity, value, registry, anchor }: AuthorizationCheck,
  { entities, proposer }: RegistryStatement,
  people: readonly Approver[],
): { ok: true } | Refused {
  // An installation that signs its genesis as a whole was created by a version that writes only version 2.
  if (registry.takesTwo || anchor.trust.genesis !== undefined)
    return refused('statement_unknown', 'v: changes take two people by now')
  if (onlyObjects(entities) && people.length > 0) return { ok: true }
  const rule = registry.rules.get(registryRuleId)?.approvers
  if (rule !== undefined && !people.every(({ groups }) => groups.includes(rule.group)))
    return refused('approver_not_in_group', 'a signer')
  const singleOperator = anchor.trust.single_operator
  const alone = bringsSecond(entities, value, registry)
  const known = new Set(registry.approvers.get(entity.id)?.credentials.map(({ public_key }) => public_key))
  const brings =
    entity.type === 'approver' &&
    value !== undefined &&
    !(value as Approver).credentials.every(({ public_key }) => known.has(public_key))
  const pair = brings && !singleOperator && registry.approvers.size > 1
  const quorum = alone ? 1 : Math.max(pair ? 2 : 1, rule?.quorum ?? 1)
  if (people.length < quorum) return refused('approval_quorum_missing', `${people.length} of ${quorum}`)
  return alone || singleOperator || people.some(({ id }) => id !== proposer)
    ? { ok: true }
    : no('approvers: only the proposer')
}
