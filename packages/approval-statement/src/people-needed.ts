import type { Approver, Entity, EntityType, RegistryStatement, Rule } from '@bailiwick/contracts'
import { onlyObjects } from './change-content.ts'
import { registryRuleId } from './match-rule.ts'

/** The part of the registry that determines how many people a change takes. */
export interface Governors {
  readonly approvers: ReadonlyMap<string, Approver>
  readonly rules: ReadonlyMap<string, Rule>
}

/** One entity of a change, with its new value; no value if it is retired. */
export interface ChangedEntity {
  type: EntityType
  id: string
  value?: Entity | undefined
}

type NamedEntities = readonly Pick<RegistryStatement['entities'][number], 'type' | 'id' | 'after'>[]

/**
 * Why a change takes as many people as it does. `objection`: it only retires recoveries. `second`: it adds the second person who can sign.
 * `single_operator`: the installation says that one person is enough. `rule`: the rule `registry` requires more than two. `two`: every
 * other change.
 */
export type WhyPeople = 'objection' | 'second' | 'single_operator' | 'rule' | 'two'

export interface PeopleNeeded {
  quorum: number
  /** The group whose members may sign; absent: every approver may. */
  group: string | undefined
  why: WhyPeople
}

/**
 * How many people must sign a change of one entity. At least two: the proposer's name proves nothing, so proposers count only if they sign,
 * as one of the two. The exceptions are those of `WhyPeople`.
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

/** Like `peopleNeeded`, for a whole change: applies its entities one after another and takes the highest number. */
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
    // Uses the group of the current rule: the signers must be in it from the beginning.
    most = most === undefined || needed.quorum > most.quorum ? { ...needed, group: (most ?? needed).group } : most
    if (type === 'approver') become(approvers, id, value)
    if (type === 'rule') become(rules, id, value)
  }
  return most ?? peopleNeeded([], undefined, registry, options)
}

/**
 * Whether this change only adds the second person who can sign. It is the one thing that the first person may do alone, because there is no
 * second person to sign it. It enrols a new approver while one approver is enrolled; or, while the group of the rule `registry` has one
 * member, it adds an already enrolled approver, with the same passkeys, to that group.
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

/** Whether the only change to this person is that `group` is added to the groups. */
function comesIn(known: Approver, then: Approver, group: string): boolean {
  const sameGroups = JSON.stringify(then.groups.filter((each) => each !== group)) === JSON.stringify(known.groups)
  const rest = ({ groups: _, ...person }: Approver) => JSON.stringify(Object.entries(person).sort())
  return then.groups.includes(group) && sameGroups && rest(then) === rest(known)
}

function become<T>(entities: Map<string, T>, id: string, value: Entity | undefined): void {
  if (value === undefined) entities.delete(id)
  else entities.set(id, value as T)
}
