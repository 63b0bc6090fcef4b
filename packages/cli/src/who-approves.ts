import { type ChangedEntity, peopleNeededFor, type WhyPeople } from '@bailiwick/approval-statement'
import type { Approver, Entity, EntityType, Rule } from '@bailiwick/contracts'
import type { PresentEntity } from './present-entities.ts'
import type { EntityDiff } from './registry-diff.ts'

const reasons: Record<WhyPeople, string> = {
  objection: 'Any one approver may object to a recovery.',
  second: 'It brings in the second person who can sign, which the first may do alone.',
  single_operator: 'SINGLE OPERATOR: one person changes everything here.',
  rule: 'The rule registry asks for so many.',
  two: 'Each change takes two people; the proposer counts only by signing it, since a name proves nothing.',
}

/** How many people must sign a change of the registry, which ones can, and why, in a line for people. */
export function whoApproves(
  diff: readonly EntityDiff[],
  present: readonly PresentEntity[],
  { singleOperator }: { singleOperator: boolean },
): string {
  const changes: ChangedEntity[] = diff.map(({ type, id, after }) => ({
    type,
    id,
    ...(after === null || after === undefined ? {} : { value: after as Entity }),
  }))
  const registry = { approvers: named<Approver>(present, 'approver'), rules: named<Rule>(present, 'rule') }
  const { quorum, group, why } = peopleNeededFor(changes, registry, { singleOperator })
  const able = [...registry.approvers.values()].filter(({ groups }) => group === undefined || groups.includes(group))
  const of = `${able.map(({ id }) => id).join(', ') || 'NO APPROVERS'}${group === undefined ? '' : ` (group ${group})`}`
  const passkeys = quorum === 1 ? 'the passkey of one' : `the passkeys of ${quorum}`
  const short =
    able.length < quorum
      ? ` TOO FEW: bring in a second approver${group === undefined ? '' : ` of group ${group}`} first.`
      : ''
  return `It takes ${passkeys} of these: ${of}. ${reasons[why]}${short}`
}

function named<T>(present: readonly PresentEntity[], type: EntityType): Map<string, T> {
  return new Map(present.flatMap((each) => (each.type === type ? [[each.id, each.value as T]] : [])))
}
