import type { Dice } from './dice.ts'
import { texts } from './texts.ts'

/** A type of Cedar. */
export type Type =
  | { is: 'Bool' | 'Long' | 'String' | Extension }
  | { is: 'Entity'; type: string }
  | { is: 'Set'; of: Type }
  | { is: 'Record'; members: Member[] }
export type Extension = 'decimal' | 'datetime' | 'duration' | 'ipaddr'

export interface Member {
  name: string
  type: Type
  optional: boolean
}

export interface Uid {
  type: string
  id: string
}

/** Entity types with what entities of them have, and the context of all actions. */
export interface World {
  entities: Map<string, { members: Member[]; tags?: Type }>
  context: Member[]
}

export const plain = ['Bool', 'Long', 'String', 'decimal', 'datetime', 'duration', 'ipaddr'] as const
export const ids = ['ann', 'bob', '', ' 1', '1', 'q"\\*', '__proto__', 'constructor', 'é', 'e\u0301', '😀']
export const colours = ['red', '__proto__', '10']
/** The types, and those that each may be in. */
export const groups: Readonly<Record<string, readonly string[]>> = {
  User: ['Team'],
  Team: ['Team', 'N::Item'],
  Doc: ['Doc', 'Team'],
  'N::Item': ['N::Box'],
  'N::Box': [],
}
export const types = [...Object.keys(groups), 'Colour']
/** The actions that may be asked. */
export const askable: readonly Uid[] = [
  { type: 'Action', id: 'read' },
  { type: 'Action', id: 'write' },
  { type: 'N::Action', id: 'go' },
]
const [all, any, every] = [
  { type: 'Action', id: 'all' },
  { type: 'Action', id: 'any' },
  { type: 'N::Action', id: 'every' },
]
export const actions: readonly Uid[] = [...askable, all, any, every]
/** The groups that each action is in, by its id. */
export const actionGroups: Readonly<Record<string, readonly Uid[]>> = {
  read: [all],
  write: [all, every],
  go: [every],
  all: [any],
}
const names = ['a', 'b', 'c', 'n', '__proto__', 'constructor', 'toString', '0', '10', 'odd name', 'é', 'type', 'id']

export function worldOf(dice: Dice): World {
  const described = Object.keys(groups).map((type): [string, { members: Member[]; tags?: Type }] => {
    const members = membersOf(dice, 2)
    return [type, dice.chance(2) ? { members, tags: typeOf(dice, 1) } : { members }]
  })
  return { entities: new Map([...described, ['Colour', { members: [] }]]), context: membersOf(dice, 2) }
}

const membersOf = (dice: Dice, depth: number): Member[] =>
  dice.some(names, 3).map((name) => ({ name, type: typeOf(dice, depth), optional: dice.chance(3) }))

export function typeOf(dice: Dice, depth: number): Type {
  if (depth > 0 && dice.chance(4)) return { is: 'Set', of: typeOf(dice, depth - 1) }
  if (depth > 0 && dice.chance(5)) return { is: 'Record', members: membersOf(dice, depth - 1) }
  return dice.chance(4) ? { is: 'Entity', type: dice.of(types) } : { is: dice.of(plain) }
}

/** Cedar's schema of a world. */
export function schemaText({ entities, context }: World): string {
  const declared = (type: string) => {
    const { members, tags } = entities.get(type) ?? { members: [] }
    const within = groups[type] ?? []
    const above = within.length === 0 ? '' : ` in [${within.join(', ')}]`
    return `entity ${type.replace('N::', '')}${above} ${membersText(members)}${tags ? ` tags ${typeText(tags)}` : ''};`
  }
  const applies = `appliesTo { principal: [User, Team], resource: [Doc, N::Item, Colour], context: ${membersText(context)} }`
  return [
    ...['User', 'Team', 'Doc'].map(declared),
    `entity Colour enum [${colours.map((id) => JSON.stringify(id)).join(', ')}];`,
    'action any; action all in [any];',
    `action read in [all] ${applies};`,
    `action write in [all, N::Action::"every"] ${applies};`,
    `namespace N { ${declared('N::Item')} ${declared('N::Box')} action every; action go in [every] ${applies}; }`,
  ].join('\n')
}

const membersText = (members: readonly Member[]): string =>
  `{${members.map(({ name, type, optional }) => `${quoted(name)}${optional ? '?' : ''}: ${typeText(type)}`).join(', ')}}`

function typeText(type: Type): string {
  switch (type.is) {
    case 'Entity':
      return type.type
    case 'Set':
      return `Set<${typeText(type.of)}>`
    case 'Record':
      return membersText(type.members)
    default:
      return type.is
  }
}

export const quoted = (text: string): string =>
  `"${Array.from(text, (each) => (/[a-zA-Z0-9 _]/.test(each) ? each : `\\u{${(each.codePointAt(0) ?? 0).toString(16)}}`)).join('')}"`

export const uidOf = (dice: Dice, type = dice.of(types)): Uid => ({
  type,
  id: dice.of(type === 'Colour' ? colours : ids.slice(0, dice.of([3, ids.length]))),
})

/** A value in Cedar's JSON form. `typed`: the schema says what a text or a name stands for. */
export function jsonValue(dice: Dice, type: Type, typed: boolean): unknown {
  switch (type.is) {
    case 'Bool':
      return dice.chance(2)
    case 'Long':
      return jsonOf(dice.of(longs))
    case 'String':
      return dice.of(strings)
    case 'Entity': {
      const uid = uidOf(dice, type.type)
      return typed && dice.chance(2) ? uid : { __entity: uid }
    }
    case 'Set':
      return dice.list(dice.chance(20) ? 12 : 3, () => jsonValue(dice, type.of, typed))
    case 'Record':
      return recordOf(dice, type.members, typed)
    default: {
      const text = dice.of(texts[type.is].right)
      return typed && dice.chance(2) ? text : { __extn: { fn: construct(type.is), arg: text } }
    }
  }
}

export function recordOf(dice: Dice, members: readonly Member[], typed: boolean): Record<string, unknown> {
  const given = members.filter(({ optional }) => !optional || dice.chance(2))
  return Object.fromEntries(given.map(({ name, type }) => [name, jsonValue(dice, type, typed)]))
}

export const construct = (type: Extension) => (type === 'ipaddr' ? 'ip' : type)

const most = 2n ** 63n - 1n
export const longs = [
  ...[0n, 0n, 1n, 1n, 2n, 3n, 5n, 7n, -1n, -2n, -3n, 1000n],
  ...[2n ** 31n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, -(2n ** 53n), -(2n ** 53n) - 1n],
  ...[2n ** 62n, -(2n ** 62n), most, most - 1n, most - 2n, -most, -most - 1n, 3037000500n, 9007199254740993n],
]
export const strings = [
  ...[
    '',
    'a',
    'b',
    'ab',
    'abc',
    'aXb',
    'A',
    '*',
    'a*c',
    '"\\',
    'é',
    'e\u0301',
    '😀',
    'a😀b',
    'line\n',
    'a\0',
    '__proto__',
  ],
  ...['constructor', '1.0', '2024-01-01', '::1', '1h', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab'],
]

const jsonOf = (long: bigint): unknown =>
  Number.isSafeInteger(Number(long))
    ? Number(long)
    : (JSON as unknown as { rawJSON(t: string): unknown }).rawJSON(String(long))
