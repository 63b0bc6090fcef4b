import { type Authority, type Cost, type CoveringPermission, formatMicros, parseMicros } from '@bailiwick/authority'
import type { BudgetAmounts } from '@bailiwick/contracts'
import type { DenialReason } from '@bailiwick/errors'
import type { Amounts as StoreAmounts } from '@bailiwick/grant-store'
import type { SpendView } from '@bailiwick/projection'
import { storeAmounts } from '../order/store-amounts.ts'

export type Reservation =
  /** `permissions`: the permission that is charged at each level. */
  | { ok: true; permissions: readonly [number, ...number[]]; reserved: BudgetAmounts; amounts: StoreAmounts }
  | { ok: false; reason: DenialReason }

/** What was taken so far from a tree, or from a link's part of it; budgets are compared with it. */
export type Taken = Pick<SpendView, 'taken' | 'uses' | 'open' | 'held' | 'unmeasured'>

/** One authority that the call is under, its permissions that cover the call, and what was taken from it. */
export interface Budgeted {
  authority: Authority
  covering: readonly CoveringPermission[]
  spent: Taken
}

/** The size that an answer may have, in bytes: as the enforcement point asks, and as policy limits it. Undefined: not stated. */
export interface AnswerBytes {
  asked: number | undefined
  most: number | undefined
}

/** A call that does not say how many bytes it needs gets one of this many shares of the limit, so as many can be under way at once. */
const shares = 8

/**
 * DESIGN §7.4 step 7: what this call takes from the tree and from each link down to the acting agent, the same from all (V9). In
 * the narrowest authority, which comes last, the first covering permission with uses left is charged, and its cost counts. Above it,
 * a permission with the same cost is charged: otherwise a link that must pay could act by a permission above it that is free. A
 * permission's uses, the calls and the cost are each an exact integer; nothing is ever a float. Bytes are reserved too, and the
 * enforcement point lets no more leave.
 *
 * The reason is `*_exhausted` only if settled calls alone leave too little. If calls without an outcome hold the rest, some of it may
 * come back, and the reason is `*_reserved`.
 */
export function reserve(levels: readonly [Budgeted, ...Budgeted[]], answer?: AnswerBytes): Reservation {
  const reservation = reserveNow(levels, answer)
  if (reservation.ok || reservation.reason === 'budget_held') return reservation
  const [grant, ...links] = levels
  const later = reserveNow([settledOnly(grant), ...links.map(settledOnly)], answer)
  if (!later.ok && later.reason !== 'budget_held') return later
  return { ok: false, reason: reservation.reason === 'uses_exhausted' ? 'uses_reserved' : 'budget_reserved' }
}

/** The level as if every call without an outcome had given back all that it holds. */
function settledOnly({ spent, ...level }: Budgeted): Budgeted {
  const { held } = spent
  const cost = [...spent.taken.cost].map(
    ([currency, micros]) => [currency, micros - (held.cost.get(currency) ?? 0n)] as const,
  )
  const uses = [...spent.uses].map(([index, count]) => [index, count - (held.uses.get(index) ?? 0)] as const)
  const taken = { ...spent.taken, calls: spent.taken.calls - held.calls, cost: new Map(cost) }
  return { ...level, spent: { ...spent, taken, uses: new Map(uses) } }
}

function reserveNow(levels: readonly [Budgeted, ...Budgeted[]], answer: AnswerBytes | undefined): Reservation {
  const narrowest = levels.at(-1) ?? levels[0]
  for (const { cost, index } of narrowest.covering.filter((each) => hasUses(narrowest, each))) {
    const chosen = levels.map((level) =>
      level === narrowest
        ? index
        : level.covering.find((each) => hasUses(level, each) && sameCost(each.cost, cost))?.index,
    )
    const [first, ...others] = chosen.filter((each) => each !== undefined)
    if (first === undefined || others.length + 1 < levels.length) continue
    if (!levels.every((level) => hasBudget(level, cost))) return { ok: false, reason: 'budget_exhausted' }
    const bytes = bytesOf(levels, answer)
    if (bytes === undefined) return { ok: false, reason: 'budget_held' }
    const reserved = { calls: 1, egress_bytes: bytes, cost: cost ? { [cost.currency]: formatMicros(cost.micros) } : {} }
    return { ok: true, permissions: [first, ...others], reserved, amounts: storeAmounts(reserved, first, 1n) }
  }
  return { ok: false, reason: 'uses_exhausted' }
}

/**
 * What a further round of a call takes: bytes for its answer. Its call, use and money were taken by the first round, from `permissions`,
 * which must cover this round's action too. So a round is allowed although its call took the last use.
 */
export function reserveRound(
  levels: readonly [Budgeted, ...Budgeted[]],
  permissions: readonly number[],
  answer?: AnswerBytes,
): Reservation {
  const isCovered = levels.every(({ covering }, n) => covering.some(({ index }) => index === permissions[n]))
  const [first, ...others] = permissions
  if (!isCovered || first === undefined || others.length + 1 !== levels.length)
    return { ok: false, reason: 'round_invalid' }
  if (!levels.every(hasBytes)) return { ok: false, reason: 'budget_exhausted' }
  const bytes = bytesOf(levels, answer)
  if (bytes === undefined) return { ok: false, reason: 'budget_held' }
  const reserved = { calls: 0, egress_bytes: bytes, cost: {} }
  return { ok: true, permissions: [first, ...others], reserved, amounts: storeAmounts(reserved, first, 0n) }
}

function hasUses({ authority, spent }: Budgeted, { index }: CoveringPermission): boolean {
  const max = authority.permissions[index]?.max_uses
  return max === undefined || (spent.uses.get(index) ?? 0) < max
}

function sameCost(a: Cost | undefined, b: Cost | undefined): boolean {
  return a?.currency === b?.currency && a?.micros === b?.micros
}

function hasBytes({ authority: { budget }, spent: { taken, open, unmeasured } }: Budgeted): boolean {
  const { egress_bytes } = budget
  // A call with no reservation and no measurement counts as having used all that was left. Reserved bytes may still come back.
  const isSpent = egress_bytes !== undefined && taken.egressBytes >= BigInt(egress_bytes) && open === 0
  return !isSpent && (egress_bytes === undefined || unmeasured === 0)
}

function hasBudget(level: Budgeted, cost: Cost | undefined): boolean {
  const { authority, spent } = level
  const { budget } = authority
  const { taken } = spent
  if (budget.calls !== undefined && taken.calls + 1n > BigInt(budget.calls)) return false
  if (!hasBytes(level)) return false
  if (!cost) return true
  const limit = parseMicros(budget.cost?.[cost.currency] ?? '0') ?? 0n
  return (taken.cost.get(cost.currency) ?? 0n) + cost.micros <= limit
}

/**
 * The bytes that this call may send: as many as it asks for, or its share of the least limit. 0: bytes are not limited. Undefined: less
 * is left and the call waits for the calls under way, which may give some back. Once none are under way it gets what is left.
 */
function bytesOf(levels: readonly Budgeted[], answer: AnswerBytes | undefined): number | undefined {
  const limited = levels.flatMap(({ authority: { budget }, spent: { taken, open } }) =>
    budget.egress_bytes === undefined
      ? []
      : [{ limit: budget.egress_bytes, left: budget.egress_bytes - Number(taken.egressBytes), open }],
  )
  if (limited.length === 0) return 0
  const share = Math.ceil(Math.min(...limited.map(({ limit }) => limit)) / shares)
  const wanted = Math.min(answer?.asked ?? share, answer?.most ?? Number.MAX_SAFE_INTEGER)
  if (limited.some(({ left, open }) => left < wanted && open > 0)) return undefined
  return Math.min(wanted, ...limited.map(({ left }) => left))
}
