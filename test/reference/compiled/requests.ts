import type { EntityName, PolicyRequest } from '@bailiwick/policy'
import type { Dice } from './dice.ts'
import {
  actionGroups,
  actions,
  askable,
  groups,
  jsonValue,
  type Member,
  recordOf,
  type Type,
  uidOf,
  type World,
} from './world.ts'

type Entity = NonNullable<PolicyRequest['entities']>[number]

/** A request that conforms to the world, except now and then. */
export function requestOf(dice: Dice, world: World, typed: boolean): PolicyRequest {
  const principal = uidOf(dice, dice.of(['User', 'User', 'Team']))
  const resource = uidOf(dice, dice.of(['Doc', 'Doc', 'N::Item', 'Colour']))
  const action = dice.of(dice.chance(40) ? [{ type: 'Action', id: 'other' }] : typed ? askable : actions)
  const request: PolicyRequest = {
    principal,
    action,
    resource,
    context: membersOf(dice, world.context, typed),
    entities: entitiesOf(dice, world, typed, [principal, resource]),
  }
  return dice.chance(12) ? spoilt(dice, request) : request
}

/** Other attributes for the first entity of a request. */
export function attributesOf(dice: Dice, world: World, { entities = [] }: PolicyRequest, typed: boolean): object {
  const [first] = entities
  if (first === undefined || first === null) return {}
  const { type } = '__entity' in first.uid ? first.uid.__entity : first.uid
  return membersOf(dice, world.entities.get(type)?.members ?? [], typed)
}

/** Without a schema, a value may have another type than it should. */
function membersOf(dice: Dice, members: readonly Member[], typed: boolean): Record<string, unknown> {
  const other: Type = { is: 'Long' }
  const as = typed ? members : members.map((member) => (dice.chance(12) ? { ...member, type: other } : member))
  return recordOf(dice, as, typed)
}

function entitiesOf(dice: Dice, world: World, typed: boolean, asked: readonly EntityName[]): Entity[] {
  const named = [
    ...asked.filter(() => !dice.chance(6)),
    ...dice.list(4, () => uidOf(dice)),
    ...(typed ? [] : actions.filter(() => dice.chance(2))),
  ]
  const names = [...new Map(named.map((name) => [`${name.type} ${name.id}`, name])).values()]
  return names.map((name, n) => {
    const { members, tags } = world.entities.get(name.type) ?? { members: [] }
    return {
      uid: dice.chance(4) ? { __entity: name } : name,
      attrs: membersOf(dice, members, typed) as Entity['attrs'],
      parents: parentsOf(dice, name, names.slice(n + 1), typed),
      ...(tags && dice.chance(2) ? { tags: tagsOf(dice, tags, typed) } : {}),
    }
  })
}

/** Only of those that follow, so that there is no cycle, or of those that do not exist. */
function parentsOf(
  dice: Dice,
  { type, id }: EntityName,
  following: readonly EntityName[],
  typed: boolean,
): EntityName[] {
  if (type === 'Action' || type === 'N::Action') return dice.some(actionGroups[id] ?? [])
  const may = groups[type] ?? []
  const there = following.filter((name) => (typed ? may.includes(name.type) : true))
  const parents = dice.some(there, 2)
  return may.length > 0 && dice.chance(4) && !typed ? [...parents, { type: dice.of(may), id: 'gone' }] : parents
}

function tagsOf(dice: Dice, tags: Type, typed: boolean): NonNullable<Entity['tags']> {
  return Object.fromEntries(
    dice.some(['a', '__proto__', 'k']).map((name) => [name, jsonValue(dice, tags, typed)]),
  ) as NonNullable<Entity['tags']>
}

const raw = (text: string): unknown => (JSON as unknown as { rawJSON(t: string): unknown }).rawJSON(text)

/** Values that are none of Cedar's, or only just. */
const odd: readonly (() => unknown)[] = [
  () => null,
  () => undefined,
  () => 1.5,
  () => -0,
  () => 2 ** 53,
  () => 1e300,
  () => raw('9223372036854775807'),
  () => raw('9223372036854775808'),
  () => raw('-9223372036854775808'),
  () => raw('-9223372036854775809'),
  () => raw('1.0'),
  () => raw('-0'),
  () => raw('1e3'),
  () => '\ud800',
  () => ({ __entity: { type: 'User', id: 'ann' }, more: 1 }),
  () => ({ __entity: { type: 'User', id: 'ann', more: 1 } }),
  () => ({ __entity: { type: 'if', id: 'ann' } }),
  () => ({ __entity: { type: ' User', id: 'ann' } }),
  () => ({ __entity: 'User::"ann"' }),
  () => ({ __extn: { fn: 'decimal', arg: '1' } }),
  () => ({ __extn: { fn: 'decimal', arg: '1.0', more: 1 } }),
  () => ({ __extn: { fn: 'isIpv4', arg: { __extn: { fn: 'ip', arg: '::1' } } } }),
  () => ({
    __extn: {
      fn: 'offset',
      args: [{ __extn: { fn: 'datetime', arg: '2024-01-01' } }, { __extn: { fn: 'duration', arg: '1h' } }],
    },
  }),
  () => ({ __extn: { fn: 'nothing', arg: '1' } }),
  () => ({ __expr: 'true' }),
  () => ({ __expr: 1 }),
  () => ({ type: 'User', id: 'ann' }),
  () => [],
  () => [[], [1], null],
  () => Array.from({ length: 130 }).reduce<unknown>((inner) => ({ a: inner }), 1),
  () => Array.from({ length: 40 }).reduce<unknown>((inner) => [inner], 1),
  () => new Date(0),
  () => JSON.parse('{"__proto__":{"a":1}}'),
]

/** Something about it is changed. */
function spoilt(dice: Dice, request: PolicyRequest): PolicyRequest {
  const { context, entities = [] } = request
  const name = dice.of([...Object.keys(context), 'a', 'b', '__entity', '__extn', '__expr', '\udc00'])
  const put = (into: Record<string, unknown>) => Object.fromEntries([...Object.entries(into), [name, dice.do(odd)]])
  const [first, ...others] = entities
  return dice.do<PolicyRequest>([
    () => ({ ...request, context: put(context) }),
    () => ({ ...request, context: put(context) }),
    () =>
      first ? { ...request, entities: [...others, { ...first, attrs: put(first.attrs) as Entity['attrs'] }] } : request,
    () => (first ? { ...request, entities: [first, ...entities] } : request),
    () => (first ? { ...request, entities: [{ ...first, attrs: {} }, ...entities] } : request),
    () => (first ? { ...request, entities: [{ ...first, parents: [first.uid] }, ...others] } : request),
    () => (first ? { ...request, entities: [{ ...first, parents: [uidOf(dice)] }, ...others] } : request),
    () => (first ? { ...request, entities: [{ ...first, more: 1 } as Entity, ...others] } : request),
    () =>
      first
        ? { ...request, entities: [{ ...first, tags: put({}) as NonNullable<Entity['tags']> }, ...others] }
        : request,
    () => ({ ...request, entities: [...entities, cycle('ann', 'bob'), cycle('bob', 'ann')] }),
    () => ({ ...request, entities: [...entities, null as unknown as Entity] }),
    () => ({ ...request, entities: [...entities, { uid: { type: 'Unknown', id: 'x' }, attrs: {}, parents: [] }] }),
    () => ({ ...request, entities: [...entities, { uid: { type: 'Colour', id: 'blue' }, attrs: {}, parents: [] }] }),
    () => ({ ...request, entities: [...entities, { uid: { type: 'Action', id: 'read' }, attrs: {}, parents: [] }] }),
    () => ({ ...request, principal: { type: dice.of(['Colour', 'Unknown', 'if', '', 'User ']), id: 'ann' } }),
    () => ({ ...request, resource: { type: 'Colour', id: 'blue' } }),
    () => ({ ...request, resource: { type: 'Doc', id: '\ud800' } }),
    () => ({ ...request, action: dice.of(['read', 'all', 'nothing']) }),
  ])
}

const cycle = (id: string, parent: string): Entity => ({
  uid: { type: 'Team', id },
  attrs: {},
  parents: [{ type: 'Team', id: parent }],
})
