import { bothConstraints } from './constraint.ts'
import { compareDecimals, parseDecimal } from './decimal.ts'
import { commonDelegates } from './delegates.ts'
import { isAsClosed, liesWithin, narrows, sameCost } from './narrows.ts'
import { withinResource } from './resource.ts'
import type { Authority, Budget, Constraint, Permission } from './schema.ts'

const maxPermissions = 64
const maxPointers = 32

/**
 * An authority that narrows both, or undefined if no common part is found. The result is confirmed by `narrows`, so nothing here can widen.
 * It need not be the greatest: uses that several pairs of permissions could share go to the first pair, and at most 64 permissions are
 * kept.
 */
export function intersect(a: Authority, b: Authority): Authority | undefined {
  const both: Authority = {
    type: 'bailiwick_task',
    task: a.task,
    permissions: commonPermissions(a.permissions, b.permissions),
    budget: smallerBudget(a.budget, b.budget),
    max_depth: Math.min(a.max_depth, b.max_depth),
    max_children: Math.min(a.max_children, b.max_children),
    ...commonDelegates(a, b),
  }
  return both.permissions.length > 0 && narrows(both, a).narrower && narrows(both, b).narrower ? both : undefined
}

function commonPermissions(a: readonly Permission[], b: readonly Permission[]): Permission[] {
  const common: Permission[] = []
  const left = { a: a.map(usesOf), b: b.map(usesOf) }
  for (const [i, first] of a.entries()) {
    for (const [j, second] of b.entries()) {
      const uses = Math.min(left.a[i] ?? 0, left.b[j] ?? 0)
      const permission = uses === 0 ? undefined : commonPermission(first, second)
      if (permission === undefined || common.length === maxPermissions) continue
      if (common.some((kept) => kept.max_uses === undefined && liesWithin(permission, kept))) continue
      common.push(uses === Number.POSITIVE_INFINITY ? permission : { ...permission, max_uses: uses })
      if (uses === Number.POSITIVE_INFINITY) continue
      left.a[i] = (left.a[i] ?? 0) - uses
      left.b[j] = (left.b[j] ?? 0) - uses
    }
  }
  return common
}

function usesOf(permission: Permission): number {
  return permission.max_uses ?? Number.POSITIVE_INFINITY
}

/** The common permission, without `max_uses`. */
function commonPermission(a: Permission, b: Permission): Permission | undefined {
  const actions = a.actions.filter((action) => b.actions.includes(action))
  const narrower = withinResource(a.resource, b.resource) ? a.resource : b.resource
  const resource = withinResource(narrower, a.resource) ? narrower : undefined
  const where = commonWhere(a.where ?? {}, b.where ?? {})
  if (actions.length === 0 || resource === undefined || where === undefined || !sameCost(a.cost, b.cost))
    return undefined
  const isClosed = a.arguments === 'closed' || b.arguments === 'closed'
  const common: Permission = {
    actions,
    resource,
    ...(Object.keys(where).length === 0 ? {} : { where }),
    ...(isClosed ? { arguments: 'closed' } : {}),
    ...(a.cost === undefined ? {} : { cost: a.cost }),
  }
  // An argument that one permission bounds, and so requires, may be forbidden by the other.
  return isAsClosed(common, a) && isAsClosed(common, b) ? common : undefined
}

type Where = Record<string, Constraint>

function commonWhere(a: Where, b: Where): Where | undefined {
  const where: Where = {}
  for (const [pointer, constraint] of Object.entries({ ...a, ...b })) {
    // If only one has the bound, it is combined with itself: a bound that nothing satisfies must not take uses from others.
    const both = bothConstraints(a[pointer] ?? constraint, constraint)
    if (both === undefined) return undefined
    where[pointer] = both
  }
  return Object.keys(where).length > maxPointers ? undefined : where
}

function smallerBudget(a: Budget, b: Budget): Budget {
  const calls = smaller(a.calls, b.calls)
  const egress = smaller(a.egress_bytes, b.egress_bytes)
  return {
    ...(calls === undefined ? {} : { calls }),
    ...(a.cost === undefined && b.cost === undefined ? {} : { cost: smallerCosts(a.cost ?? {}, b.cost ?? {}) }),
    ...(egress === undefined ? {} : { egress_bytes: egress }),
  }
}

function smaller(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b)
}

/** Only currencies that both list: in all others, one of the two allows nothing. */
function smallerCosts(a: Record<string, string>, b: Record<string, string>): Record<string, string> {
  const costs: Record<string, string> = {}
  for (const [currency, amount] of Object.entries(a)) {
    const other = b[currency]
    const [mine, theirs] = [parseDecimal(amount), parseDecimal(other ?? '')]
    if (other === undefined || mine === undefined || theirs === undefined) continue
    costs[currency] = compareDecimals(mine, theirs) <= 0 ? amount : other
  }
  return costs
}
