import {
  type Authority,
  type CoveringPermission,
  formatMicros,
  parseAuthority,
  parseMicros,
} from '@bailiwick/authority'
import type { BudgetAmounts, Grant } from '@bailiwick/contracts'
import type { DenialReason } from '@bailiwick/errors'
import type { Amounts as StoreAmounts, TreeState } from '@bailiwick/grant-store'
import type { SpendView, TreeSpend } from '@bailiwick/projection'

/** A grant's authority, parsed once; undefined when it is not understood, which denies. */
export function authorityOf(grant: Grant): Authority | undefined {
  const known = parsed.get(grant)
  if (known) return known.authority
  const result = parseAuthority(grant.authority)
  const authority = result.ok ? result.authority : undefined
  parsed.set(grant, { authority })
  return authority
}
const parsed = new WeakMap<Grant, { authority: Authority | undefined }>()

export type Reservation =
  | { ok: true; permission: number; reserved: BudgetAmounts; amounts: StoreAmounts }
  | { ok: false; reason: DenialReason }

/** What is taken of a tree so far: the part of `TreeSpend` that a budget looks at. */
export type Taken = Pick<SpendView, 'taken' | 'uses'>

/**
 * DESIGN §7.4 step 7: what this call takes from the tree (V9). The first covering permission with uses left is charged, and
 * its own cost counts. A permission's uses, the calls and the cost are each an exact integer; nothing is ever a float.
 */
export function reserve(authority: Authority, covering: readonly CoveringPermission[], spent: Taken): Reservation {
  const { budget, permissions } = authority
  const usable = covering.find(({ index }) => {
    const max = permissions[index]?.max_uses
    return max === undefined || (spent.uses.get(index) ?? 0) < max
  })
  if (!usable) return { ok: false, reason: 'uses_exhausted' }
  if (budget.calls !== undefined && spent.taken.calls + 1n > BigInt(budget.calls))
    return { ok: false, reason: 'budget_exhausted' }
  const { cost, index } = usable
  if (cost) {
    const limit = parseMicros(budget.cost?.[cost.currency] ?? '0') ?? 0n
    if ((spent.taken.cost.get(cost.currency) ?? 0n) + cost.micros > limit)
      return { ok: false, reason: 'budget_exhausted' }
  }
  const reserved = { calls: 1, egress_bytes: 0, cost: cost ? { [cost.currency]: formatMicros(cost.micros) } : {} }
  return { ok: true, permission: index, reserved, amounts: storeAmounts(reserved, index, 1n) }
}

/** A reservation in the grant store's terms. `uses` is the sign of one use: taken, or given back. */
export function storeAmounts(amounts: BudgetAmounts, permission: number, uses: bigint): StoreAmounts {
  return {
    calls: BigInt(amounts.calls),
    egress_bytes: BigInt(amounts.egress_bytes),
    [`uses:${permission}`]: uses,
    ...Object.fromEntries(
      Object.entries(amounts.cost).map(([currency, amount]) => [`cost:${currency}`, parseMicros(amount) ?? 0n]),
    ),
  }
}

/** The tree as the store is refilled with it: limits less what the log says is taken. */
export function treeStateOf(authority: Authority, spend: TreeSpend | undefined, expiresAt: number): TreeState {
  const { budget, permissions } = authority
  const left: Record<string, bigint> = {}
  const put = (resource: string, limit: bigint | undefined, taken: bigint) => {
    if (limit !== undefined) left[resource] = limit > taken ? limit - taken : 0n
  }
  put('calls', budget.calls === undefined ? undefined : BigInt(budget.calls), spend?.taken.calls ?? 0n)
  put(
    'egress_bytes',
    budget.egress_bytes === undefined ? undefined : BigInt(budget.egress_bytes),
    spend?.taken.egressBytes ?? 0n,
  )
  for (const [currency, amount] of Object.entries(budget.cost ?? {}))
    put(`cost:${currency}`, parseMicros(amount), spend?.taken.cost.get(currency) ?? 0n)
  for (const [index, { max_uses }] of permissions.entries())
    put(`uses:${index}`, max_uses === undefined ? undefined : BigInt(max_uses), BigInt(spend?.uses.get(index) ?? 0))
  return { version: spend?.version ?? 0, left, labels: [...(spend?.labels.keys() ?? [])], expiresAt }
}
