import type { Approver, Rule } from '@bailiwick/contracts'
import type { PresentEntity } from './present-entities.ts'
import type { WantedEntity } from './registry-file.ts'

export interface Group {
  id: string
  members: string[]
  /** The rules that require this group. */
  rules: { id: string; quorum: number }[]
}

type Held = Pick<PresentEntity, 'type' | 'id' | 'value'>

/** Every group that has a member or that a rule requires. A group exists by being named: it is not an entity of its own. */
export function groupsOf(entities: readonly Held[]): Group[] {
  const approvers = entities.flatMap(({ type, value }) => (type === 'approver' ? [value as Approver] : []))
  const rules = entities.flatMap(({ type, value }) => (type === 'rule' ? [value as Rule] : []))
  const ids = new Set([...approvers.flatMap(({ groups }) => groups), ...rules.map((rule) => rule.approvers.group)])
  return [...ids].sort().map((id) => ({
    id,
    members: approvers.filter(({ groups }) => groups.includes(id)).map((approver) => approver.id),
    rules: rules
      .filter(({ approvers: { group } }) => group === id)
      .map((rule) => ({ id: rule.id, quorum: rule.approvers.quorum })),
  }))
}

/** Warnings about a future registry: a rule whose group has too few people can approve nothing. */
export function starvedLines(entities: readonly Held[]): string[] {
  return groupsOf(entities).flatMap(({ id, members, rules }) =>
    rules
      .filter(({ quorum }) => quorum > members.length)
      .map(
        ({ id: rule, quorum }) =>
          `TOO FEW PEOPLE: rule ${rule} takes ${quorum} of group ${id}, which has ${members.join(', ') || 'no members'}: ` +
          'nothing can be approved under it.',
      ),
  )
}

/** The registry's content after the file is applied. */
export function afterwards(wanted: readonly WantedEntity[], present: readonly Held[]): Held[] {
  const named = new Map(wanted.map((entity) => [`${entity.type} ${entity.id}`, entity]))
  return [
    ...present.filter(({ type, id }) => !named.has(`${type} ${id}`)),
    ...wanted.flatMap(({ type, id, value }) => (value === undefined ? [] : [{ type, id, value }])),
  ]
}
