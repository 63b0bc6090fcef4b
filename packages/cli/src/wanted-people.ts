import type { Entity, EntityType } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import type { WantedEntity, WantedGroup, WantedRegistry } from './registry-file.ts'

type Approver = Entity<'approver'>
type Present = readonly { type: EntityType; id: string; value: unknown }[]

/**
 * The people in the file, with the passkeys that they have: a browser makes a passkey, so it never comes from a file. A group that the file
 * names has exactly its listed members afterwards. Each person who joins or leaves is a change of that approver, because membership is
 * stored with each approver. Throws `config_invalid` for a person who is not enrolled, and if two sections contradict each other about one
 * person.
 */
export function withPeople({ entities, groups }: WantedRegistry, present: Present, name: string): WantedEntity[] {
  const enrolled = new Map(
    present.flatMap(({ type, id, value }) => (type === 'approver' ? [[id, value as Approver] as const] : [])),
  )
  const leaving = new Set(
    entities.flatMap(({ type, id, person }) => (type === 'approver' && person === undefined ? [id] : [])),
  )
  const at = (line: number | undefined) => `${name}${line === undefined ? '' : `:${line}`}`
  const mustBeEnrolled = (id: string, section: string, line: number | undefined) => {
    if (!enrolled.has(id)) fail(`${at(line)}: ${section}: ${id} is not enrolled: ${whyInvite}`)
    if (leaving.has(id)) fail(`${at(line)}: ${section}: ${id} is to be retired by the same file`)
  }
  for (const { id, members, line } of groups)
    for (const member of members) mustBeEnrolled(member, `groups: ${id}`, line)

  const said = new Map<string, WantedEntity>()
  for (const { type, id, person, line } of entities) {
    if (type !== 'approver' || person === undefined) continue
    mustBeEnrolled(id, 'approvers', line)
    const other = groups.find((group) => group.members.includes(id) !== person.groups.includes(group.id))
    if (other !== undefined) fail(`${at(line)}: approvers: ${id}: groups says otherwise of ${other.id}`)
    said.set(id, { type, id, value: { ...(enrolled.get(id) as Approver), ...person } })
  }
  const moved = [...enrolled.values()].flatMap((approver): WantedEntity[] => {
    const { id } = approver
    if (said.has(id) || leaving.has(id) || !groups.some((group) => moves(group, approver))) return []
    return [{ type: 'approver', id, value: { ...approver, groups: groupsAfter(groups, approver) } }]
  })
  return [...entities.map((entity) => said.get(entity.type === 'approver' ? entity.id : '') ?? entity), ...moved]
}

const moves = ({ id, members }: WantedGroup, approver: Approver) =>
  members.includes(approver.id) !== approver.groups.includes(id)

/** Groups that the file does not name stay, in their order. */
function groupsAfter(groups: readonly WantedGroup[], { id, groups: before }: Approver): string[] {
  const named = new Map(groups.map((group) => [group.id, group.members.includes(id)]))
  const kept = before.filter((group) => named.get(group) !== false)
  return [...kept, ...groups.flatMap((group) => (named.get(group.id) && !kept.includes(group.id) ? [group.id] : []))]
}

const whyInvite = 'an enrolled approver invites new ones on the console, because only a browser makes a passkey'

function fail(detail: string): never {
  throw new ServiceError('config_invalid', detail)
}
