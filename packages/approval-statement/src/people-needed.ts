import type { Approver, Entity, EntityType, RegistryStatement, Rule } from '@bailiwick/contracts'
import { onlyObjects } from './change-content.ts'
import { registryRuleId } from './match-rule.ts'

/** Of the registry, what says how many people a change takes. */
export interface Governors {
  readonly approvers: ReadonlyMap<string, Approver>
  readonly rules: ReadonlyMap<string, Rule>
}

/** One entity of a change, with what it becomes; no value: it is retired. */
export interface ChangedEntity {
  type: EntityType
  id: string
  value?: Entity | undefined
}

type NamedEntities = readonly Pick<RegistryStatement['entities'][number], 'type' | 'id' | 'after'>[]

/**
 * Why a change takes as many people as it does. `objection`: it only retires recoveries. `second`: it brings the second person who can
 * sign. `single_operator`: the installation says that one person is enough. `rule`: the rule `registry` wants more than two. `two`: all else.
 */
export type WhyPeople = 'objection' | 'second' | 'single_operator' | 'rule' | 'two'

export interface PeopleNeeded {
  quorum: number
  /** Who may sign: this group; absent: every approver. */
  group: string | undefined
  why: WhyPeople
}

/**
 * How many people sign one entity of a change. Two at least: a name proves nobody, so that whoever proposes a change counts only by
 * signing it, as the second of the two. The exceptions are those of `WhyPeople`.
 */
export function peopleNeeded(
  entities: NamedEntities,
  value: Entity | undefined,
  registry: Governors,
  { singleOperator }: { singleOperator: boolean },
): PeopleNeeded {
  if (onlyObjects(entities)) return { quorum: 1, group: undefined, why: 'objection' }
  const { group, quorum = 1 } = registry.rules.get(registryRuleId)?.approvers ?? {}
  if (bringsSecond(entities, value, registry)) return { quorum: 1, group, why: 'second' }
  if (singleOperator) return { quorum, group, why: 'single_operator' }
  return quorum > 2 ? { quorum, group, why: 'rule' } : { quorum: 2, group, why: 'two' }
}

/** As `peopleNeeded`, for a whole change: one entity after the other as they are made, and the most that one of them takes. */
export function peopleNeededFor(
  changes: readonly ChangedEntity[],
  registry: Governors,
  options: { singleOperator: boolean },
): PeopleNeeded {
  const named = changes.map(({ type, id, value }) => ({ type, id, ...(value === undefined ? {} : { after: '' }) }))
  const [approvers, rules] = [new Map(registry.approvers), new Map(registry.rules)]
  let most: PeopleNeeded | undefined
  for (const { type, id, value } of changes) {
    const needed = peopleNeeded(named, value, { approvers, rules }, options)
    // The group is that of the rule as it is: whoever signs is in it from the beginning.
    most = most === undefined || needed.quorum > most.quorum ? { ...needed, group: (most ?? needed).group } : most
    if (type === 'approver') become(approvers, id, value)
    if (type === 'rule') become(rules, id, value)
  }
  return most ?? peopleNeeded([], undefined, registry, options)
}

/**
 * Whether this change does nothing but bring in the second person who can sign: the one thing that the first may do alone, since nobody
 * else could. Somebody new while one approver is enrolled; or, while one alone is in the group of the rule `registry`, an approver
 * who is enrolled already and comes into that group, with the same passkeys.
 */
export function bringsSecond(
  entities: NamedEntities,
  value: Entity | undefined,
  { approvers, rules }: Governors,
): boolean {
  const [change, ...more] = entities
  if (change?.type !== 'approver' || change.after === undefined || more.length > 0) return false
  const known = approvers.get(change.id)
  if (approvers.size === 1) return known === undefined
  const group = rules.get(registryRuleId)?.approvers.group
  if (group === undefined || known === undefined || value === undefined) return false
  const able = [...approvers.values()].filter(({ groups }) => groups.includes(group))
  return able.length === 1 && !able.includes(known) && comesIn(known, value as Approver, group)
}

/** Whether nothing of this person changes but that `group` is one more of the groups. */
function comesIn(known: Approver, then: Approver, group: string): boolean {
  const sameGroups = JSON.stringify(then.groups.filter((each) => each !== group)) === JSON.stringify(known.groups)
  const rest = ({ groups: _, ...person }: Approver) => JSON.stringify(Object.entries(person).sort())
  return then.groups.includes(group) && sameGroups && rest(then) === rest(known)
}

function become<T>(entities: Map<string, T>, id: string, value: Entity | undefined): void {
  if (value === undefined) entities.delete(id)
  else entities.set(id, value as T)
}
