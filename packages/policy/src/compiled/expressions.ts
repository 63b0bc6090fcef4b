import { constructors, type ReadExtension } from './extensions.ts'
import { difference, product, sum } from './longs.ts'
import { methods } from './methods.ts'
import { isLike } from './patterns.ts'
import { erred, isWithin, NotCompiled, type Situation } from './situation.ts'
import { CedarRecord, CedarSet, Entity, Extension, isSame, type Long, type Value } from './values.ts'

/** An expression of Cedar. Throws `erred` where Cedar errs. */
export type Evaluate = (situation: Situation) => Value

/** An expression in Cedar's JSON form; its Longs beyond 53 bits are bigint. */
type Json = Readonly<Record<string, unknown>>

/** Deeper nesting goes to the reference, whose own limit depends on the stack of its instance. */
const mostLevels = 200

/** Throws `NotCompiled`. */
export function compileExpression(json: unknown, levels = mostLevels): Evaluate {
  if (levels <= 0) throw new NotCompiled(`nested more than ${mostLevels} deep`)
  const [operator, operands] = only(json)
  const compile = compilers.get(operator) ?? extensionCall(operator)
  return compile(operands, (inner) => compileExpression(inner, levels - 1))
}

type Compile = (operands: unknown, inner: (json: unknown) => Evaluate) => Evaluate

function only(json: unknown): [string, unknown] {
  const [entry, ...more] = Object.entries(recordOf(json))
  if (entry === undefined || more.length > 0) throw new NotCompiled('an expression with other than one operator')
  return entry
}

function recordOf(json: unknown): Json {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new NotCompiled('no expression')
  return json as Json
}

function textOf(json: unknown): string {
  if (typeof json !== 'string') throw new NotCompiled('no text where there should be one')
  return json
}

const listOf = (json: unknown): readonly unknown[] => {
  if (!Array.isArray(json)) throw new NotCompiled('no list where there should be one')
  return json
}

/** Members of an operand, all of them known: a member that a later version of Cedar adds is not ignored. */
function members<K extends string>(operands: unknown, names: readonly K[]): Record<K, unknown> {
  const record = recordOf(operands)
  if (!Object.keys(record).every((name) => (names as readonly string[]).includes(name)))
    throw new NotCompiled(`an operand that is not known here: ${Object.keys(record)}`)
  return record as Record<K, unknown>
}

const compilers = new Map<string, Compile>([
  ['Value', (value) => literal(value)],
  ['Var', (name) => variable(textOf(name))],
  ['Set', (items, inner) => setOf(listOf(items).map(inner))],
  ['Record', (json, inner) => recordFrom(Object.entries(recordOf(json)).map(([name, of]) => [name, inner(of)]))],
  ['!', unary((of) => (s) => !truth(of(s)))],
  ['neg', unary((of) => (s) => there(difference(0, long(of(s)))))],
  ['isEmpty', unary((of) => (s) => set(of(s)).elements.length === 0)],
  ['&&', binary((left, right) => (s) => truth(left(s)) && truth(right(s)))],
  ['||', binary((left, right) => (s) => truth(left(s)) || truth(right(s)))],
  ['==', binary((left, right) => (s) => isSame(left(s), right(s)))],
  ['!=', binary((left, right) => (s) => !isSame(left(s), right(s)))],
  ['<', binary((left, right) => (s) => isOrdered(left(s), right(s), isLess))],
  ['<=', binary((left, right) => (s) => isOrdered(left(s), right(s), isAtMost))],
  ['>', binary((left, right) => (s) => isOrdered(left(s), right(s), (a, b) => isLess(b, a)))],
  ['>=', binary((left, right) => (s) => isOrdered(left(s), right(s), (a, b) => isAtMost(b, a)))],
  ['+', arithmetic(sum)],
  ['-', arithmetic(difference)],
  ['*', arithmetic(product)],
  ['in', binary((left, right) => (s) => isIn(left(s), right(s), s))],
  ['contains', binary((left, right) => (s) => set(left(s)).has(right(s)))],
  ['containsAll', binary((left, right) => (s) => set(left(s)).includes(set(right(s))))],
  ['containsAny', binary((left, right) => (s) => set(left(s)).meets(set(right(s))))],
  ['hasTag', binary((left, right) => (s) => tag(left(s), right(s), s) !== undefined)],
  ['getTag', binary((left, right) => (s) => there(tag(left(s), right(s), s)))],
  ['.', attribute],
  ['has', has],
  ['like', like],
  ['is', is],
  ['if-then-else', choice],
])

function unary(make: (of: Evaluate) => Evaluate): Compile {
  return (operands, inner) => make(inner(members(operands, ['arg']).arg))
}

function binary(make: (left: Evaluate, right: Evaluate) => Evaluate): Compile {
  return (operands, inner) => {
    const { left, right } = members(operands, ['left', 'right'])
    return make(inner(left), inner(right))
  }
}

function arithmetic(operate: (a: Long, b: Long) => Long | undefined): Compile {
  return binary((left, right) => (s) => there(operate(long(left(s)), long(right(s)))))
}

function literal(value: unknown): Evaluate {
  if (typeof value === 'boolean' || typeof value === 'string' || typeof value === 'bigint') return () => value
  if (typeof value === 'number' && Number.isSafeInteger(value)) return () => value
  const { __entity } = members(value, ['__entity'])
  const { type, id } = members(__entity, ['type', 'id'])
  const entity = new Entity({ type: textOf(type), id: textOf(id) })
  return () => entity
}

function variable(name: string): Evaluate {
  switch (name) {
    case 'principal':
      return ({ principal }) => principal
    case 'action':
      return ({ action }) => action
    case 'resource':
      return ({ resource }) => resource
    case 'context':
      return ({ context }) => context
    default:
      throw new NotCompiled(`a variable that is not known here: ${name}`)
  }
}

const setOf =
  (items: readonly Evaluate[]): Evaluate =>
  (s) =>
    new CedarSet(items.map((item) => item(s)))

const recordFrom =
  (entries: readonly (readonly [string, Evaluate])[]): Evaluate =>
  (s) =>
    new CedarRecord(new Map(entries.map(([name, of]) => [name, of(s)])))

function attribute(operands: unknown, inner: (json: unknown) => Evaluate): Evaluate {
  const { left, attr } = members(operands, ['left', 'attr'])
  const [of, name] = [inner(left), textOf(attr)]
  return (s) => there(attributesOf(of(s), s)?.get(name))
}

/** `has a.b` is `has a`, and that what is there has `b`. */
function has(operands: unknown, inner: (json: unknown) => Evaluate): Evaluate {
  const { left, attr } = members(operands, ['left', 'attr'])
  const of = inner(left)
  const path = Array.isArray(attr) ? attr.map(textOf) : [textOf(attr)]
  return (s) => {
    let value: Value | undefined = of(s)
    for (const name of path) {
      value = attributesOf(value, s)?.get(name)
      if (value === undefined) return false
    }
    return true
  }
}

function like(operands: unknown, inner: (json: unknown) => Evaluate): Evaluate {
  const { left, pattern } = members(operands, ['left', 'pattern'])
  const of = inner(left)
  const pieces = ['']
  for (const part of listOf(pattern))
    if (part === 'Wildcard') pieces.push('')
    else pieces.push((pieces.pop() ?? '') + textOf(members(part, ['Literal']).Literal))
  return (s) => isLike(text(of(s)), pieces)
}

function is(operands: unknown, inner: (json: unknown) => Evaluate): Evaluate {
  const { left, entity_type: named, in: group } = members(operands, ['left', 'entity_type', 'in'])
  const [of, type] = [inner(left), textOf(named)]
  if (group === undefined) return (s) => entity(of(s)).type === type
  const within = inner(group)
  return (s) => {
    const value = entity(of(s))
    return value.type === type && isIn(value, within(s), s)
  }
}

function choice(operands: unknown, inner: (json: unknown) => Evaluate): Evaluate {
  const parts = members(operands, ['if', 'then', 'else'])
  const [test, yes, no] = [inner(parts.if), inner(parts.then), inner(parts.else)]
  return (s) => (truth(test(s)) ? yes(s) : no(s))
}

function extensionCall(name: string): Compile {
  return (operands, inner) => {
    const [first, second, ...more] = listOf(operands)
    const construct = constructors.get(name)
    const method = methods.get(name)
    const takes = construct !== undefined ? 1 : method?.takes
    if (takes === undefined) throw new NotCompiled(`a function that is not known here: ${name}`)
    if (more.length > 0 || takes !== listOf(operands).length) throw new NotCompiled(`${name} with other operands`)
    const left = inner(first)
    if (construct) return constructed(construct, first, left)
    const right = takes === 2 ? inner(second) : undefined
    const { call, on, by } = method ?? { on: 'decimal' }
    return (s) => {
      const [of, other] = [left(s), right?.(s)]
      return there(call?.(extension(of, on), other === undefined ? undefined : extension(other, by ?? on)))
    }
  }
}

/** What a literal makes is made once. */
function constructed(construct: ReadExtension, json: unknown, of: Evaluate): Evaluate {
  const [operator, given] = only(json)
  if (operator !== 'Value' || typeof given !== 'string') return (s) => there(construct(text(of(s))))
  const made = construct(given)
  return () => there(made)
}

const isLess = (a: Long, b: Long) => a < b
const isAtMost = (a: Long, b: Long) => a <= b

/** Of two Longs, two datetimes or two durations. */
function isOrdered(a: Value, b: Value, compare: (a: Long, b: Long) => boolean): boolean {
  if (!(a instanceof Extension)) return compare(long(a), long(b))
  if (a.kind !== 'datetime' && a.kind !== 'duration') throw erred
  return compare(a.value as Long, extension(b, a.kind).value as Long)
}

function isIn(left: Value, right: Value, situation: Situation): boolean {
  const of = entity(left)
  if (right instanceof Entity) return isWithin(of, right.key, situation)
  // Cedar errs for any member that is no entity, also behind one that matches.
  const groups = set(right).elements.map(entity)
  return groups.some(({ key }) => isWithin(of, key, situation))
}

function tag(of: Value, name: Value, situation: Situation): Value | undefined {
  const [{ key }, tagged] = [entity(of), text(name)]
  return situation.entity(key)?.tags.get(tagged)
}

/** undefined: there is no such entity. */
function attributesOf(value: Value, situation: Situation): ReadonlyMap<string, Value> | undefined {
  if (value instanceof CedarRecord) return value.members
  return situation.entity(entity(value).key)?.attributes
}

function there<T>(value: T | undefined): T {
  if (value === undefined) throw erred
  return value
}

export function truth(value: Value): boolean {
  if (typeof value !== 'boolean') throw erred
  return value
}

function long(value: Value): Long {
  if (typeof value !== 'number' && typeof value !== 'bigint') throw erred
  return value
}

function text(value: Value): string {
  if (typeof value !== 'string') throw erred
  return value
}

function set(value: Value): CedarSet {
  if (!(value instanceof CedarSet)) throw erred
  return value
}

function entity(value: Value): Entity {
  if (!(value instanceof Entity)) throw erred
  return value
}

function extension(value: Value, kind: Extension['kind']): Extension {
  if (!(value instanceof Extension) || value.kind !== kind) throw erred
  return value
}
