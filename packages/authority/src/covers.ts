import { satisfies } from './constraint.ts'
import { decimalOf, toMicros } from './decimal.ts'
import { isWithinNamed, lookup } from './pointer.ts'
import { holdsResource } from './resource.ts'
import type { Authority, Permission } from './schema.ts'

/** One call, as the enforcement point observed it and as its digest commits to it (DESIGN §7.4). */
export interface Action {
  readonly name: string
  /** The arguments: a parsed JSON value, from a strict parser. */
  readonly properties: unknown
  readonly resource: { readonly type: string; readonly id: string }
}

/** The cost of an action under the permission that covers it. `micros` is the amount × 10^6, never negative. */
export interface Cost {
  readonly currency: string
  readonly micros: bigint
}

/** A permission that covers an action, by its index in the authority. */
export interface CoveringPermission {
  readonly index: number
  readonly cost?: Cost
}

/**
 * `permissions`: every permission that covers the action, in the authority's order and never empty. Uses and budgets are state and are not
 * judged here: the decision point takes the first permission that has uses left, and charges *its* cost.
 */
export type Coverage =
  | { covered: true; permissions: [CoveringPermission, ...CoveringPermission[]] }
  | { covered: false; reason: 'action_not_granted' | 'argument_out_of_bounds' | 'cost_invalid' }

/**
 * Whether one permission of the authority covers the action: its name, its resource, the bounds of all its arguments, no additional
 * argument if the permission is closed, and a cost that can be counted. Never throws; `authority` must be a result of `parseAuthority`. The
 * returned reason is that of the permission that came closest.
 */
export function covers(authority: Authority, action: Action): Coverage {
  const covering: CoveringPermission[] = []
  let reason: 'action_not_granted' | 'argument_out_of_bounds' | 'cost_invalid' = 'action_not_granted'
  for (const [index, permission] of authority.permissions.entries()) {
    if (!permission.actions.includes(action.name) || !holdsResource(permission.resource, action.resource)) continue
    if (!argumentsInBounds(permission, action.properties) || !isClosedOver(permission, action.properties)) {
      if (reason === 'action_not_granted') reason = 'argument_out_of_bounds'
      continue
    }
    const cost = costOf(authority, permission, action.properties)
    if (cost === 'invalid') reason = 'cost_invalid'
    else covering.push(cost === 'none' ? { index } : { index, cost })
  }
  const [first, ...others] = covering
  return first === undefined ? { covered: false, reason } : { covered: true, permissions: [first, ...others] }
}

/**
 * Whether the authority covers an action that a tool's declared mapping makes of a call. It has no arguments and is charged to nothing, so a
 * permission with limits on arguments, uses or money does not cover it.
 */
export function coversMapped(authority: Authority, action: Omit<Action, 'properties'>): boolean {
  const coverage = covers(authority, { ...action, properties: {} })
  return (
    coverage.covered && coverage.permissions.some(({ index }) => authority.permissions[index]?.max_uses === undefined)
  )
}

function argumentsInBounds(permission: Permission, properties: unknown): boolean {
  return Object.entries(permission.where ?? {}).every(([pointer, constraint]) =>
    satisfies(lookup(properties, pointer), constraint),
  )
}

/** The arguments that a permission names, as pointers. */
export function namedPointers({ where, cost }: Permission): string[] {
  return [...Object.keys(where ?? {}), ...(cost === undefined ? [] : [cost.amount, cost.currency])]
}

/** An open permission does not restrict arguments that it does not name. */
function isClosedOver(permission: Permission, properties: unknown): boolean {
  return permission.arguments !== 'closed' || isWithinNamed(properties, namedPointers(permission))
}

/** A currency that the budget does not list is invalid, not free: a cost that cannot be counted cannot be bounded. */
function costOf(authority: Authority, permission: Permission, properties: unknown): Cost | 'none' | 'invalid' {
  if (permission.cost === undefined) return 'none'
  const currency = lookup(properties, permission.cost.currency)
  const amount = decimalOf(lookup(properties, permission.cost.amount))
  const micros = amount === undefined ? undefined : toMicros(amount)
  if (micros === undefined || typeof currency !== 'string') return 'invalid'
  return Object.hasOwn(authority.budget.cost ?? {}, currency) ? { currency, micros } : 'invalid'
}
