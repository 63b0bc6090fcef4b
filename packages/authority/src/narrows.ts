import { impliesConstraint } from './constraint.ts'
import { namedPointers } from './covers.ts'
import { parseMicros } from './decimal.ts'
import { delegatesWithin } from './delegates.ts'
import { unplacedDemand } from './place-uses.ts'
import { withinResource } from './resource.ts'
import type { Authority, Budget, Permission } from './schema.ts'

/** `path`: the position in the child, by JSON pointer. `why`: an explanation for people; it repeats no value. */
export type Narrowing = { narrower: true } | Wider
interface Wider {
  readonly narrower: false
  readonly path: string
  readonly why: string
}

/**
 * Whether a child's authority allows nothing that its parent's does not, in every dimension (V5): the parent allows each action and each
 * sequence of actions that the child allows, within the parent's uses and budget. Sound, reflexive and transitive. Not complete: each child
 * permission must fit inside *one* parent permission, so a union of two is refused. Both must be results of `parseAuthority`. Total.
 */
export function narrows(child: Authority, parent: Authority): Narrowing {
  return (
    (child.task === parent.task ? undefined : wider('/task', 'another task')) ??
    permissionsWider(child, parent) ??
    budgetWider(child.budget, parent.budget) ??
    (child.max_depth <= parent.max_depth ? undefined : wider('/max_depth', 'deeper than the parent')) ??
    (child.max_children <= parent.max_children ? undefined : wider('/max_children', 'more than the parent')) ??
    (delegatesWithin(child, parent) ? undefined : wider('/delegates', 'an agent that the parent does not list')) ?? {
      narrower: true,
    }
  )
}

function wider(path: string, why: string): Wider {
  return { narrower: false, path, why }
}

function permissionsWider(child: Authority, parent: Authority): Wider | undefined {
  const capacities = parent.permissions.map((permission) => permission.max_uses ?? Number.POSITIVE_INFINITY)
  const demands: { uses: number; homes: number[]; index: number }[] = []
  for (const [index, permission] of child.permissions.entries()) {
    const fits = parent.permissions.map((candidate) => misfit(permission, candidate))
    const homes = [...fits.keys()].filter((home) => fits[home] === undefined)
    if (homes.length === 0) return closest(fits, `/permissions/${index}`)
    // If uses are not limited, there is nothing to distribute.
    if (homes.some((home) => capacities[home] === Number.POSITIVE_INFINITY)) continue
    if (permission.max_uses === undefined) {
      return wider(`/permissions/${index}/max_uses`, 'no limit of uses, where the parent has one')
    }
    demands.push({ uses: permission.max_uses, homes, index })
  }
  const unplaced = demands[unplacedDemand(demands, capacities) ?? -1]
  return unplaced === undefined
    ? undefined
    : wider(
        `/permissions/${unplaced.index}/max_uses`,
        'more uses than the parent has, over all permissions that share them',
      )
}

/** Why a permission does not fit inside another. `progress` counts the dimensions that fit, to report the nearest miss. */
interface Misfit {
  readonly progress: number
  readonly member: string
  readonly why: string
}

function misfit(child: Permission, parent: Permission): Misfit | undefined {
  if (!withinResource(child.resource, parent.resource)) {
    return { progress: 0, member: 'resource', why: 'no permission of the parent holds the resource' }
  }
  if (!child.actions.every((action) => parent.actions.includes(action))) {
    return { progress: 1, member: 'actions', why: 'an action that the parent does not have for the resource' }
  }
  // Iterates over the parent's pointers, because a hostile child would leave out a bound.
  for (const [pointer, bound] of Object.entries(parent.where ?? {})) {
    const own = Object.hasOwn(child.where ?? {}, pointer) ? child.where?.[pointer] : undefined
    if (own === undefined || !impliesConstraint(own, bound)) {
      return { progress: 2, member: 'where', why: 'an argument is bounded less than in the parent' }
    }
  }
  if (!sameCost(child.cost, parent.cost))
    return { progress: 3, member: 'cost', why: 'the cost is not declared as in the parent' }
  return isAsClosed(child, parent)
    ? undefined
    : {
        progress: 4,
        member: 'arguments',
        why: 'an argument may be there that the parent, which is closed, does not name',
      }
}

/** Whether a permission permits only arguments that a closed parent permission names. */
export function isAsClosed(child: Permission, parent: Permission): boolean {
  if (parent.arguments !== 'closed') return true
  const named = namedPointers(parent)
  return child.arguments === 'closed' && namedPointers(child).every((pointer) => named.includes(pointer))
}

/** Whether a permission fits inside another in every dimension except the number of uses, which several permissions share. */
export function liesWithin(child: Permission, parent: Permission): boolean {
  return misfit(child, parent) === undefined
}

/** A child that omitted the cost, or read it from another argument, would escape the budget. */
export function sameCost(a: Permission['cost'], b: Permission['cost']): boolean {
  return a?.amount === b?.amount && a?.currency === b?.currency
}

function closest(misfits: readonly (Misfit | undefined)[], path: string): Wider {
  const best = misfits.reduce((a, b) => ((b?.progress ?? -1) > (a?.progress ?? -1) ? b : a), undefined)
  return wider(`${path}/${best?.member ?? ''}`, best?.why ?? 'the parent has no permission')
}

function budgetWider(child: Budget, parent: Budget): Wider | undefined {
  if (!withinLimit(child.calls, parent.calls)) return wider('/budget/calls', 'more than the parent')
  if (!withinLimit(child.egress_bytes, parent.egress_bytes))
    return wider('/budget/egress_bytes', 'more than the parent')
  // For `covers`, an empty and a missing list of currencies are equivalent; but the author of a limit must see it stated.
  if (parent.cost !== undefined && child.cost === undefined)
    return wider('/budget/cost', 'not stated, where the parent limits it')
  for (const [currency, amount] of Object.entries(child.cost ?? {})) {
    const limit = Object.hasOwn(parent.cost ?? {}, currency) ? parent.cost?.[currency] : undefined
    if (limit === undefined) return wider(`/budget/cost/${currency}`, 'a currency that the parent does not have')
    const [own, most] = [parseMicros(amount), parseMicros(limit)]
    if (own === undefined || most === undefined || own > most) {
      return wider(`/budget/cost/${currency}`, 'more than the parent')
    }
  }
  return undefined
}

function withinLimit(child: number | undefined, parent: number | undefined): boolean {
  return parent === undefined || (child !== undefined && child <= parent)
}
