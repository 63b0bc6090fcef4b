import type { Dice } from './dice.ts'
import { texts } from './texts.ts'
import {
  actions,
  construct,
  type Extension,
  longs,
  type Member,
  quoted,
  strings,
  type Type,
  typeOf,
  types,
  type Uid,
  uidOf,
  type World,
} from './world.ts'

/** A policy as Cedar's text. */
export interface PolicyText {
  id: string
  text: string
}

/** Ids that an object of JavaScript may take for something else, or that sort in an unusual way. */
const policyIds = ['p', 'p\t', 'P', '__proto__', 'constructor', '10', '9', 'é', 'zz', 'a b', 'q"']

export function policiesOf(dice: Dice, world: World): PolicyText[] {
  const writer = new Writer(dice, world)
  return policyIds.slice(0, 1 + dice.below(policyIds.length)).map((id) => ({ id, text: writer.policy(id) }))
}

const bool: Type = { is: 'Bool' }
const long: Type = { is: 'Long' }
const text: Type = { is: 'String' }

/** Writes expressions that mostly have the type that their place requires: half of a comparison is about errors. */
class Writer {
  readonly #dice: Dice
  readonly #world: World
  /** What has members, with the members that it should have. */
  readonly #bases: readonly { base: string; members: readonly Member[] }[]

  constructor(dice: Dice, world: World) {
    this.#dice = dice
    this.#world = world
    const membersOf = (type: string) => this.#membersOf(type)
    this.#bases = [
      { base: 'context', members: world.context },
      { base: 'principal', members: membersOf('User') },
      { base: 'resource', members: membersOf('Doc') },
      { base: 'Team::"ann"', members: membersOf('Team') },
      { base: 'resource', members: membersOf('N::Item') },
    ]
  }

  policy(id: string): string {
    const dice = this.#dice
    const effect = dice.of(['permit', 'permit', 'forbid'])
    const head = [
      this.#scope('principal', ['User', 'Team']),
      this.#actionScope(),
      this.#scope('resource', ['Doc', 'N::Item', 'Colour']),
    ]
    const conditions = dice.list(
      2,
      () => `${dice.of(['when', 'unless'])} { ${this.#expr(bool, dice.of([1, 1, 1, 2, 3]))} }`,
    )
    return `@id(${quoted(id)})\n${effect} (${head.join(', ')})\n${conditions.join('\n')};\n`
  }

  #scope(name: string, own: readonly string[]): string {
    const dice = this.#dice
    const one = () => uidText(uidOf(dice, dice.of([...own, 'Team', 'Doc'])))
    return dice.do([
      () => name,
      () => name,
      () => name,
      () => `${name} == ${one()}`,
      () => `${name} in ${one()}`,
      () => `${name} is ${dice.of(types)}`,
      () => `${name} is ${dice.of(own)}`,
      () => `${name} is ${dice.of(own)} in ${one()}`,
    ])
  }

  #actionScope(): string {
    const dice = this.#dice
    const one = () => uidText(dice.of(actions))
    return dice.do([
      () => 'action',
      () => 'action',
      () => `action == ${one()}`,
      () => `action in ${one()}`,
      () => `action in [${dice.list(3, one).join(', ')}]`,
    ])
  }

  #expr(wanted: Type, depth: number): string {
    const dice = this.#dice
    if (dice.chance(60)) return `(${this.#expr(typeOf(dice, 1), 0)})`
    return `(${depth <= 0 || dice.chance(6) ? this.#leaf(wanted) : this.#compound(wanted, depth - 1)})`
  }

  #leaf(wanted: Type): string {
    const dice = this.#dice
    if (dice.chance(2)) return this.#access(wanted, 0) ?? this.#literal(wanted)
    return this.#literal(wanted)
  }

  /** Something of this type that the world has, mostly with a test whether it is there. */
  #access(wanted: Type, depth: number): string | undefined {
    const dice = this.#dice
    const found = this.#bases.flatMap(({ base, members }) =>
      members.flatMap((member) => reach(base, member, wanted, 2)),
    )
    if (found.length === 0) return undefined
    const { test, path } = dice.of(found)
    if (dice.chance(3)) return path
    return `if ${test} then ${path} else ${depth <= 0 ? this.#literal(wanted) : this.#expr(wanted, depth - 1)}`
  }

  #literal(wanted: Type): string {
    const dice = this.#dice
    switch (wanted.is) {
      case 'Bool':
        return String(dice.chance(2))
      case 'Long':
        return String(dice.of(longs))
      case 'String':
        return quoted(dice.of(strings))
      case 'Entity':
        return dice.do([
          () => uidText(uidOf(dice, wanted.type)),
          () => dice.of(['principal', 'resource', 'action']),
          () => uidText(uidOf(dice)),
        ])
      case 'Set':
        return `[${dice.list(3, () => this.#literal(wanted.of)).join(', ')}]`
      case 'Record':
        return dice.chance(8) ? 'context' : this.#record(wanted.members, (type) => this.#literal(type))
      default:
        return this.#extension(wanted.is)
    }
  }

  #extension(type: Extension): string {
    const dice = this.#dice
    const { right, wrong } = texts[type]
    return `${construct(type)}(${quoted(dice.of(dice.chance(12) ? wrong : right))})`
  }

  #record(members: readonly Member[], of: (type: Type) => string): string {
    const given = members.filter(({ optional }) => !optional || this.#dice.chance(2))
    return `{${given.map(({ name, type }) => `${quoted(name)}: ${of(type)}`).join(', ')}}`
  }

  #compound(wanted: Type, depth: number): string {
    const dice = this.#dice
    const of = (type: Type) => this.#expr(type, depth)
    const own = this.#own(wanted, depth)
    return dice.do([
      ...own,
      ...own,
      () => `if ${of(bool)} then ${of(wanted)} else ${of(wanted)}`,
      () => this.#access(wanted, depth) ?? this.#literal(wanted),
      () => this.#tag(wanted) ?? this.#literal(wanted),
    ])
  }

  #tag(wanted: Type): string | undefined {
    const dice = this.#dice
    const tagged = [...this.#world.entities].filter(([, { tags }]) => tags !== undefined && isAlike(tags, wanted))
    if (tagged.length === 0) return undefined
    const [type] = dice.of(tagged)
    const of = dice.do([() => uidText(uidOf(dice, type)), () => dice.of(['principal', 'resource'])])
    const name = quoted(dice.of(['a', '__proto__', 'k']))
    return dice.chance(3)
      ? `${of}.getTag(${name})`
      : `if ${of}.hasTag(${name}) then ${of}.getTag(${name}) else ${this.#literal(wanted)}`
  }

  #own(wanted: Type, depth: number): (() => string)[] {
    const dice = this.#dice
    const of = (type: Type) => this.#expr(type, depth)
    switch (wanted.is) {
      case 'Bool':
        return this.#tests(depth)
      case 'Long':
        return [
          () => `${of(long)} ${dice.of(['+', '-', '*'])} ${of(long)}`,
          () => `${of(long)} ${dice.of(['+', '-', '*'])} ${of(long)}`,
          () => `-${of(long)}`,
          () =>
            `${of({ is: 'duration' })}.${dice.of(['toMilliseconds', 'toSeconds', 'toMinutes', 'toHours', 'toDays'])}()`,
        ]
      case 'Set':
        return [
          () => `[${dice.list(3, () => of(wanted.of)).join(', ')}]`,
          () => `[${of(wanted.of)}, ${of(typeOf(dice, 1))}]`,
        ]
      case 'Record':
        return [() => this.#record(wanted.members, of)]
      case 'datetime':
        return [() => `${of(wanted)}.offset(${of({ is: 'duration' })})`, () => `${of(wanted)}.toDate()`]
      case 'duration':
        return [
          () => `${of({ is: 'datetime' })}.durationSince(${of({ is: 'datetime' })})`,
          () => `${of({ is: 'datetime' })}.toTime()`,
        ]
      case 'decimal':
        return [() => `decimal(${of(text)})`, () => this.#extension('decimal')]
      case 'ipaddr':
        return [() => `ip(${of(text)})`, () => this.#extension('ipaddr')]
      default:
        return [() => this.#literal(wanted)]
    }
  }

  #tests(depth: number): (() => string)[] {
    const dice = this.#dice
    const of = (type: Type) => this.#expr(type, depth)
    const entity = (): Type => ({ is: 'Entity', type: dice.of(types) })
    const set = (element: Type): Type => ({ is: 'Set', of: element })
    const isSame = () => {
      const type = typeOf(dice, 2)
      return `${of(type)} ${dice.of(['==', '!='])} ${of(dice.chance(12) ? typeOf(dice, 1) : type)}`
    }
    const ordered = () => {
      const type = dice.of<Type>([long, long, long, { is: 'datetime' }, { is: 'duration' }])
      return `${of(type)} ${dice.of(['<', '<=', '>', '>='])} ${of(dice.chance(20) ? typeOf(dice, 0) : type)}`
    }
    const inSet = () => {
      const element = typeOf(dice, dice.of([0, 1]))
      return dice.do([
        () => `${of(set(element))}.contains(${of(element)})`,
        () => `${of(set(element))}.${dice.of(['containsAll', 'containsAny'])}(${of(set(element))})`,
        () => `${of(set(element))}.isEmpty()`,
      ])
    }
    /** Of few literals, so that sets and records are often equal, or one in another. */
    const related = () => {
      const literal = typeOf(dice, 1)
      const pool = Array.from({ length: 3 }, () => this.#literal(literal))
      const some = () => `[${dice.some(pool).join(', ')}]`
      const record = () =>
        `{${dice
          .some(['a', 'b'])
          .map((name) => `${name}: ${dice.of(pool)}`)
          .join(', ')}}`
      return dice.do([
        () => `${some()} == ${some()}`,
        () => `${record()} == ${record()}`,
        () => `[${record()}, ${some()}].contains(${dice.of([record(), some()])})`,
        () => `${some()}.${dice.of(['containsAll', 'containsAny'])}(${some()})`,
        () => `${some()}.contains(${dice.of(pool)})`,
        () => `${dice.of(pool)} == ${dice.of(pool)}`,
      ])
    }
    const inGroup = () => `${of(entity())} in ${of(dice.chance(2) ? entity() : set(entity()))}`
    return [
      () => `${of(bool)} && ${of(bool)}`,
      () => `${of(bool)} || ${of(bool)}`,
      () => `!${of(bool)}`,
      isSame,
      isSame,
      ordered,
      ordered,
      inSet,
      related,
      related,
      related,
      inGroup,
      inGroup,
      () => `${of(entity())} is ${dice.of(types)}`,
      () => `${of(entity())} is ${dice.of(types)} in ${of(entity())}`,
      () => `${of(text)} like ${this.#pattern()}`,
      () => this.#has(depth),
      () => `${of(entity())}.hasTag(${of(text)})`,
      () => `${of({ is: 'ipaddr' })}.${dice.of(['isIpv4', 'isIpv6', 'isLoopback', 'isMulticast'])}()`,
      () => `${of({ is: 'ipaddr' })}.isInRange(${of({ is: 'ipaddr' })})`,
      () =>
        `${of({ is: 'decimal' })}.${dice.of(['lessThan', 'lessThanOrEqual', 'greaterThan', 'greaterThanOrEqual'])}(${of({ is: 'decimal' })})`,
    ]
  }

  #has(depth: number): string {
    const dice = this.#dice
    const { base, members } = dice.of(this.#bases)
    if (dice.chance(3)) return `${base} has ${this.#path(members)}`
    const name = members.length === 0 || dice.chance(3) ? dice.of(['a', 'valueOf', 'type']) : dice.of(members).name
    return `${dice.chance(3) ? this.#expr(typeOf(dice, 2), depth - 1) : base} has ${quoted(name)}`
  }

  /** Some names with dots, of members where there are such: of a record in a record, or of an entity that is named there. */
  #path(members: readonly Member[], depth = 2): string {
    const dice = this.#dice
    const named = members.filter(({ name }) => /^[a-z]+$/.test(name))
    const deep = named.filter(({ type }) => type.is === 'Record' || type.is === 'Entity')
    const from = deep.length > 0 && !dice.chance(4) ? deep : named
    if (from.length === 0 || dice.chance(8)) return `${dice.of(['a', 'b', 'c'])}.${dice.of(['a', 'b', 'n'])}`
    const { name, type } = dice.of(from)
    const inside = type.is === 'Record' ? type.members : type.is === 'Entity' ? this.#membersOf(type.type) : []
    return depth > 0 && !dice.chance(4) ? `${name}.${this.#path(inside, depth - 1)}` : name
  }

  #membersOf(type: string): readonly Member[] {
    return this.#world.entities.get(type)?.members ?? []
  }

  #pattern(): string {
    const dice = this.#dice
    const parts = dice.list(6, () => dice.of(['*', '*', 'a', 'b', 'ab', 'c', 'é', '😀', '\\*', '\\n', '1']))
    return `"${parts.join('')}"`
  }
}

/** The ways to something of this type from here, each with what tests that it is there. */
function reach(base: string, { name, type }: Member, wanted: Type, depth: number): { test: string; path: string }[] {
  const path = /^[a-z]+$/.test(name) ? `${base}.${name}` : `${base}[${quoted(name)}]`
  const test = `${base} has ${quoted(name)}`
  if (isAlike(type, wanted)) return [{ test, path }]
  if (type.is !== 'Record' || depth <= 0) return []
  return type.members
    .flatMap((member) => reach(path, member, wanted, depth - 1))
    .map((inner) => ({ test: `${test} && ${inner.test}`, path: inner.path }))
}

function isAlike(a: Type, b: Type): boolean {
  if (a.is !== b.is) return false
  if (a.is === 'Set' && b.is === 'Set') return isAlike(a.of, b.of)
  return true
}

const uidText = ({ type, id }: Uid) => `${type}::${quoted(id)}`
