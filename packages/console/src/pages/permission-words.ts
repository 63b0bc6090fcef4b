import type { Authority } from '../types.ts'
import { number } from '../ui/numbers.ts'

export type Permission = Authority['permissions'][number]
type Constraint = NonNullable<Permission['where']>[string]

/** Thrown for a part that has no words. The permission is then shown in its exact form. */
class NoWords extends Error {}

/**
 * A permission in plain words, beside its exact form; undefined if anything in it has no plain words. The words say everything that the
 * permission says: two permissions with the same words allow the same. `once`: a grant of it is good for one exact action.
 */
export function permissionWords(permission: Permission, { once = false } = {}): string | undefined {
  try {
    return sentence(permission, once)
  } catch (error) {
    if (error instanceof NoWords) return undefined
    throw error
  }
}

const members: Record<string, readonly string[]> = {
  permission: ['actions', 'resource', 'where', 'arguments', 'cost', 'max_uses'],
  resource: ['type', 'id', 'id_prefix'],
  constraint: ['eq', 'in', 'min', 'max', 'prefix'],
  cost: ['amount', 'currency'],
}

function sentence(permission: Permission, once: boolean): string {
  expectOnly('permission', permission)
  expectOnly('resource', permission.resource)
  const { max_uses, cost, where = {} } = permission
  for (const constraint of Object.values(where)) expectOnly('constraint', constraint)
  const uses = once ? 1 : max_uses
  const rest = new Map(Object.entries(where))
  const price = cost === undefined ? [] : [priceWords(cost, rest, uses)]
  const bounds = [...rest].map(([pointer, constraint]) => `${argument(pointer)} ${constraintWords(constraint)}`)
  return [
    `${verb(permission)} ${usesWords(uses)}`,
    ...price,
    ...(bounds.length === 0 ? [] : [`only where ${listed(bounds, 'and')}`]),
    otherArguments(permission),
  ].join(', ')
}

/** A member of a later version has no words here. */
function expectOnly(kind: string, value: object): void {
  if (Object.keys(value).some((member) => !members[kind]?.includes(member))) throw new NoWords()
}

function verb({ actions, resource: { type, id, id_prefix } }: Permission): string {
  const target = id ?? id_prefix
  if (target === undefined || (id !== undefined && id_prefix !== undefined)) throw new NoWords()
  const isCall = type === 'tool' && actions.length === 1 && actions[0] === 'tools/call'
  if (isCall) return id === undefined ? `Call any tool below ${name(target)}` : `Call ${name(target)}`
  return `Do ${listed(actions.map(name), 'or')} on ${id === undefined ? `any ${name(type)} below` : name(type)} ${name(target)}`
}

function usesWords(uses: number | undefined): string {
  if (uses === undefined) return 'any number of times'
  return uses === 1 ? 'once' : `up to ${number(uses)} times`
}

/** The most that one use may cost. Removes the bounds that it words from `rest`. */
function priceWords(
  cost: NonNullable<Permission['cost']>,
  rest: Map<string, Constraint>,
  uses: number | undefined,
): string {
  expectOnly('cost', cost)
  const [amount, currency] = [rest.get(cost.amount), rest.get(cost.currency)]
  rest.delete(cost.amount)
  rest.delete(cost.currency)
  const isUsual = cost.amount === '/amount' && cost.currency === '/currency'
  const where = isUsual ? '' : ` (arguments ${argument(cost.amount)} and ${argument(cost.currency)})`
  const each = uses === 1 ? '' : ' each'
  return `${amountWords(amount)} ${currencyWords(currency)}${each}${where}`
}

function amountWords(amount: Constraint | undefined): string {
  if (amount === undefined) return 'any amount that the budget holds,'
  const { min, max } = amount
  if (count(amount) !== (min === undefined ? 0 : 1) + (max === undefined ? 0 : 1)) throw new NoWords()
  if (min === undefined) return `at most ${decimal(max)}`
  return max === undefined ? `at least ${decimal(min)}` : `from ${decimal(min)} to ${decimal(max)}`
}

function currencyWords(currency: Constraint | undefined): string {
  if (currency === undefined) return 'in any currency of the budget'
  const { eq, in: values = [eq] } = currency
  const codes = values.filter((each) => typeof each === 'string' && /^[A-Z]{3}$/.test(each))
  if (count(currency) !== 1 || codes.length !== values.length || codes.length === 0) throw new NoWords()
  return listed(codes as string[], 'or')
}

/** Comparisons of different kinds on one argument are rare, and have no words. */
function constraintWords(constraint: Constraint): string {
  const { eq, in: values, min, max, prefix } = constraint
  if (min !== undefined && max !== undefined && count(constraint) === 2)
    return `is from ${decimal(min)} to ${decimal(max)}`
  if (count(constraint) !== 1) throw new NoWords()
  if (eq !== undefined) return `is ${quoted(eq)}`
  if (values !== undefined)
    return values.length === 1 ? `is ${quoted(values[0])}` : `is one of ${values.map(quoted).join(', ')}`
  if (min !== undefined) return `is at least ${decimal(min)}`
  if (max !== undefined) return `is at most ${decimal(max)}`
  if (prefix === undefined) throw new NoWords()
  return prefix.endsWith('/') ? `is inside ${name(prefix)}` : `starts with ${quoted(prefix)}`
}

/** A permission that is not closed lets an agent pass anything else: a reader must not have to know that. */
function otherArguments({ arguments: closed, where, cost }: Permission): string {
  const isBound = where !== undefined || cost !== undefined
  if (closed !== undefined && closed !== 'closed') throw new NoWords()
  if (closed === 'closed') return isBound ? 'and no other arguments' : 'without arguments'
  return isBound ? 'and any other arguments' : 'with any arguments'
}

/** `/to/address` as `to.address`. A pointer that could read as words of ours, or as another pointer, has no words. */
function argument(pointer: string): string {
  if (!/^(\/[A-Za-z0-9_-]+)+$/.test(pointer)) throw new NoWords()
  return pointer.slice(1).replaceAll('/', '.')
}

/** Text that is not a plain name is quoted, or it could read as words of ours. */
const name = (text: string): string => (/^[A-Za-z0-9._:/@#+-]+$/.test(text) ? text : quoted(text))

/** Only visible ASCII has words: other letters can be taken for one another, and the exact form spells them out. */
function quoted(value: string | boolean | undefined): string {
  if (value === undefined || (typeof value === 'string' && !/^[ -~]*$/.test(value))) throw new NoWords()
  return JSON.stringify(value)
}

function decimal(value: string | undefined): string {
  if (value === undefined || !/^-?\d+(\.\d+)?$/.test(value)) throw new NoWords()
  return number(value)
}

const count = (value: object) => Object.keys(value).length

function listed(words: readonly string[], last: 'and' | 'or'): string {
  if (words.length === 0) throw new NoWords()
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1)}`
}
