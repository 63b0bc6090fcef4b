import type { Action, Authority, Budget, Constraint, Permission } from '@bailiwick/authority'
import { decimalText, millionths, numberIn } from './numbers.ts'

// What an authority allows, and when one is inside another, according to DESIGN §7.1 and the comments of
// packages/authority, not its code. Slow and obvious: where a question is "for every value", values are tried.

export interface Charge {
  currency: string
  micros: bigint
}
export type Cover = { index: number; cost?: Charge }
export type Refusal = 'action_not_granted' | 'argument_out_of_bounds' | 'cost_invalid'

/** Every permission that covers the action, or how far the closest one got. */
export function coverOf(authority: Authority, action: Action): Cover[] | Refusal {
  const answers = authority.permissions.map((permission) => judge(authority.budget, permission, action))
  const covers = answers.flatMap((answer, index) => (typeof answer === 'string' ? [] : [{ index, ...answer }]))
  if (covers.length > 0) return covers
  if (answers.includes('cost_invalid')) return 'cost_invalid'
  return answers.includes('argument_out_of_bounds') ? 'argument_out_of_bounds' : 'action_not_granted'
}

function judge(budget: Budget, permission: Permission, action: Action): { cost?: Charge } | Refusal {
  if (!permission.actions.includes(action.name) || !holds(permission.resource, action.resource))
    return 'action_not_granted'
  for (const [pointer, constraint] of Object.entries(permission.where ?? {}))
    if (!fits(at(action.properties, pointer), constraint)) return 'argument_out_of_bounds'
  if (permission.arguments === 'closed' && !standsUnder(action.properties, '', namesIn(permission)))
    return 'argument_out_of_bounds'
  if (permission.cost === undefined) return {}
  const currency = at(action.properties, permission.cost.currency)
  const micros = millionths(at(action.properties, permission.cost.amount))
  const listed = typeof currency === 'string' && Object.keys(budget.cost ?? {}).includes(currency)
  return listed && micros !== undefined ? { cost: { currency, micros } } : 'cost_invalid'
}

/** The value at a JSON pointer, RFC 6901; undefined where there is none. */
export function at(document: unknown, pointer: string): unknown {
  let here: unknown = document
  for (const token of pointer.split('/').slice(1)) {
    const key = token.replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof here !== 'object' || here === null) return undefined
    const members: [string, unknown][] = Object.entries(here)
    here = members.find(([name]) => name === key)?.[1]
  }
  return here
}

/** The pointers that a permission names. */
const namesIn = ({ where, cost }: Permission): string[] => [...Object.keys(where ?? {}), ...Object.values(cost ?? {})]

/** Whether every value in a document is at or below one of these names. */
function standsUnder(value: unknown, pointer: string, names: readonly string[]): boolean {
  if (names.some((name) => pointer === name || pointer.startsWith(`${name}/`))) return true
  const isArguments = pointer === '' && !Array.isArray(value)
  const members: [string, unknown][] = value === null || typeof value !== 'object' ? [] : Object.entries(value)
  if (members.length === 0) return isArguments && typeof value === 'object' && value !== null
  return members.every(([name, member]) =>
    standsUnder(member, `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`, names),
  )
}

type Scope = Permission['resource']

function holds(scope: Scope, resource: { type: string; id: string }): boolean {
  if (scope.type !== resource.type) return false
  if (scope.id !== undefined) return scope.id === resource.id
  return isPlainUrl(resource.id) && resource.id.startsWith(scope.id_prefix ?? '')
}

/** A URL that every server reads alike: only such an id can lie below a prefix. */
function isPlainUrl(text: string): boolean {
  if (/[^!-~]|[%\\;?#]/.test(text)) return false
  const parts = /^[a-z][a-z0-9+.-]*:\/\/([^/]+)\/(.*)$/.exec(text)
  if (!parts) return false
  const [, host = '', path = ''] = parts
  const segments = path.split('/')
  return (
    /^[a-z0-9.-]+(:[0-9]+)?$/.test(host) &&
    segments.slice(0, -1).every((segment) => segment !== '') &&
    segments.every((segment) => !/^\.+$/.test(segment))
  )
}

function fits(value: unknown, constraint: Constraint): boolean {
  return comparisons(constraint).every((comparison) => fitsOne(value, comparison))
}

type Comparison = [keyof Constraint, unknown]
/** A maximum without a minimum is for amounts, which begin at zero. */
const comparisons = (constraint: Constraint): Comparison[] =>
  Object.entries('max' in constraint ? { min: '0', ...constraint } : constraint) as Comparison[]

function fitsOne(value: unknown, [operator, bound]: Comparison): boolean {
  if (operator === 'eq') return same(value, bound)
  if (operator === 'in') return (bound as unknown[]).some((listed) => same(value, listed))
  if (operator === 'prefix') return typeof value === 'string' && begins(value, bound as string)
  const [number, limit] = [numberIn(value), decimalText(bound as string)]
  if (number === undefined || limit === undefined) return false
  return operator === 'min' ? number >= limit : number <= limit
}

/** A prefix that ends in a slash is a path's, and accepts plain paths only; a scheme in the prefix is not judged. */
function begins(value: string, prefix: string): boolean {
  if (!value.startsWith(prefix)) return false
  return (
    !prefix.endsWith('/') || isPlainPath(value.slice(/^[a-zA-Z][a-zA-Z0-9+.-]*:\/\//.exec(prefix)?.[0].length ?? 0))
  )
}

function isPlainPath(path: string): boolean {
  const control = (code: number) => code < 0x20 || (code >= 0x7f && code < 0xa0)
  if ([...path].some((char) => char === '\\' || control(char.charCodeAt(0)))) return false
  const segments = path.split('/')
  if (segments.slice(1, -1).includes('')) return false
  if (segments.some((segment) => segment !== '' && ['', ...';?#:%'].includes(afterDots(segment)))) return false
  const [, ...escaped] = path.split('%')
  return escaped.every((text, n) => {
    const byte = /^[0-9a-fA-F]{2}/.test(text) ? Number.parseInt(text.slice(0, 2), 16) : 0
    const next = text.length === 2 ? Number.parseInt((escaped[n + 1] ?? '').slice(0, 2), 16) : 0
    if (byte < 0x20 || [0x7f, 0xc0, 0xc1].includes(byte) || byte >= 0xf5) return false
    if (['%', '.', '/', '\\'].includes(String.fromCharCode(byte))) return false
    return !(byte === 0xe0 && next >= 0x80 && next < 0xa0) && !(byte === 0xf0 && next >= 0x80 && next < 0x90)
  })
}

const spaces = [...'\u0020\u0085\u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff'].concat(
  Array.from({ length: 11 }, (_, n) => String.fromCharCode(0x2000 + n)),
)
const blanks = ['.', '+', ...spaces, ...spaces.map((space) => encodeURIComponent(space))]

/**
 * The first character that is neither a dot nor white space, even when escaped or a plus; undefined where a segment has
 * none. If a segment begins with neither: a character that ends no run.
 */
function afterDots(segment: string): string {
  const blankAt = (at: number) =>
    blanks.find((blank) => segment.slice(at, at + blank.length).toUpperCase() === blank.toUpperCase())
  let at = 0
  for (let blank = blankAt(at); blank !== undefined; blank = blankAt(at)) at += blank.length
  return at === 0 ? 'x' : (segment[at] ?? '')
}

function same(value: unknown, bound: unknown): boolean {
  const [a, b] = [numberIn(value), numberIn(bound)]
  return a !== undefined && b !== undefined ? a === b : value === bound
}

/** Whether a child is inside its parent in every dimension. */
export function isNarrower(child: Authority, parent: Authority): boolean {
  return (
    child.task === parent.task &&
    child.max_depth <= parent.max_depth &&
    child.max_children <= parent.max_children &&
    recipientsWithin(child, parent) &&
    budgetWithin(child.budget, parent.budget) &&
    canShareOut(child, parent)
  )
}

/** The agents to which it may be delegated; undefined: any. Where no delegation can be made, the list may be empty. */
const recipients = ({ delegates, max_depth, max_children }: Authority) =>
  Math.min(max_depth, max_children) === 0 ? [] : delegates

export function mayReceive(authority: Authority, instance: string): boolean {
  return recipients(authority)?.some((agent) => instance.split('/').slice(0, -1).join('/') === agent) ?? true
}

function recipientsWithin(child: Authority, parent: Authority): boolean {
  const [own, most] = [recipients(child), recipients(parent)]
  return most === undefined || (own !== undefined && new Set([...most, ...own]).size === new Set(most).size)
}

/**
 * The child must limit everything that the parent limits, money included: leaving a limit out is refused, although
 * unlisted money cannot be spent.
 */
function budgetWithin(child: Budget, parent: Budget): boolean {
  const atMost = (a: number | undefined, b: number | undefined) => b === undefined || (a !== undefined && a <= b)
  const micros = (amount: string) => millionths(amount) ?? 0n
  const money = Object.entries(child.cost ?? {}).every(([currency, amount]) => {
    const limit = Object.entries(parent.cost ?? {}).find(([known]) => known === currency)?.[1]
    return limit !== undefined && micros(amount) <= micros(limit)
  })
  return (
    atMost(child.calls, parent.calls) &&
    atMost(child.egress_bytes, parent.egress_bytes) &&
    money &&
    (parent.cost === undefined || child.cost !== undefined)
  )
}

/**
 * Whether every use that the child has can be one of the parent's: for any choice of its permissions, they have
 * together no more uses than the parent's permissions that cover any of them (Hall's theorem).
 */
function canShareOut(child: Authority, parent: Authority): boolean {
  const uses = ({ max_uses }: Permission) => max_uses ?? Number.POSITIVE_INFINITY
  const sum = (permissions: Permission[]) => permissions.reduce((all, permission) => all + uses(permission), 0)
  return subsetsOf(child.permissions).every((picked) => {
    const holders = parent.permissions.filter((holder) => picked.some((permission) => isInside(permission, holder)))
    return sum(picked) <= sum(holders)
  })
}

function subsetsOf<T>([first, ...rest]: readonly T[]): T[][] {
  if (first === undefined) return [[]]
  const without = subsetsOf(rest)
  return [...without, ...without.map((subset) => [first, ...subset])]
}

function isInside(child: Permission, parent: Permission): boolean {
  return (
    child.actions.every((name) => parent.actions.includes(name)) &&
    scopeWithin(child.resource, parent.resource) &&
    Object.entries(parent.where ?? {}).every(([pointer, bound]) => follows(child.where?.[pointer], bound)) &&
    child.cost?.amount === parent.cost?.amount &&
    child.cost?.currency === parent.cost?.currency &&
    (parent.arguments === undefined ||
      (child.arguments !== undefined && namesIn(child).every((name) => namesIn(parent).includes(name))))
  )
}

function scopeWithin(child: Scope, parent: Scope): boolean {
  if (child.id !== undefined) return holds(parent, { type: child.type, id: child.id })
  return child.type === parent.type && (child.id_prefix ?? '').startsWith(parent.id_prefix ?? '\0')
}

/** Each comparison of the parent must follow from one of the child: no value may fit the child's and not the parent's. */
function follows(child: Constraint | undefined, parent: Constraint): boolean {
  if (child === undefined) return false
  return comparisons(parent).every((wanted) =>
    comparisons(child).some(
      (given) =>
        !isHollow(given, wanted) &&
        !witnesses(child, parent).some((value) => fitsOne(value, given) && !fitsOne(value, wanted)),
    ),
  )
}

/** A path prefix in which nothing lies is treated as text: nothing else follows from it, although no value could show that. */
function isHollow([operator, prefix]: Comparison, [wanted, parent]: Comparison): boolean {
  if (operator !== 'prefix' || fitsOne(prefix, [operator, prefix])) return false
  const text = String(parent)
  return wanted !== 'prefix' || !(text === prefix || (!text.endsWith('/') && String(prefix).startsWith(text)))
}

/** Values that tell constraints apart: all values that either mentions, in each spelling, and the values next to them. */
export function witnesses(...constraints: (Constraint | undefined)[]): unknown[] {
  const mentioned = constraints.flatMap((constraint) => Object.values(constraint ?? {}).flat())
  const beside = mentioned.flatMap((value): unknown[] => {
    if (typeof value !== 'string') return [value]
    const spelled = [value, `${value}0`, `${value}.0`, `${value}.00`, `${value}x`, `${value}/../x`, value.slice(0, -1)]
    const number = Number(value)
    const numbers = decimalText(value) === undefined ? [] : [number, number + 1, number - 1, number + 0.5, -number]
    const finer = value.includes('.') ? [`${value}1`, `${value}9`] : [`${value}.01`, `${value}.9`]
    return [...spelled, ...numbers, ...numbers.map(String), ...finer]
  })
  return [...new Set([...beside, undefined, null, true, false, '', 'x', 0, [], {}])]
}
