import type { Approver, Rule } from '@bailiwick/contracts'
import type { PresentEntity } from './present-entities.ts'
import type { EntityDiff } from './registry-diff.ts'

/** Who must answer a change of the registry, in a line for people; the registry's own rule is judged elsewhere. */
export function whoApproves(
  diff: readonly EntityDiff[],
  present: readonly PresentEntity[],
  { proposer, singleOperator }: { proposer: string; singleOperator: boolean },
): string {
  const rule = present.find(({ type, id }) => type === 'rule' && id === 'registry')?.value as Rule | undefined
  const { group, quorum } = rule?.approvers ?? { group: undefined, quorum: 1 }
  const all = present.filter(({ type }) => type === 'approver').map(({ value }) => value as Approver)
  const able = all.filter(({ groups }) => group === undefined || groups.includes(group)).map(({ id }) => id)
  const [first, ...more] = diff
  if (all.length === 1 && more.length === 0 && first?.type === 'approver' && first.verb === 'register')
    return `It enrols the second approver: ${able.join(', ') || 'nobody'} may approve it alone.`
  if (diff.every(({ type, verb }) => type === 'recovery' && verb === 'retire'))
    return `It takes the passkey of any one of ${all.map(({ id }) => id).join(', ') || 'NOBODY'}.`
  const people = `${quorum} of ${able.join(', ') || 'NOBODY'}${group === undefined ? '' : ` (group ${group})`}`
  if (singleOperator) return `It takes the passkey of ${people}. SINGLE OPERATOR: the proposer’s own counts.`
  return `It takes the passkey of ${people}, and of somebody besides ${proposer}, who proposes it.`
}
