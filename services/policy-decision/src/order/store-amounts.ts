import { type Authority, parseAuthority, parseMicros } from '@bailiwick/authority'
import type { BudgetAmounts, Grant } from '@bailiwick/contracts'
import type { Amounts as StoreAmounts, TreeState } from '@bailiwick/grant-store'
import type { TreeSpend } from '@bailiwick/projection'

/** A grant's authority, parsed once; undefined if it is not understood, which denies the call. */
export function authorityOf(grant: Grant): Authority | undefined {
  const known = parsed.get(grant)
  if (known) return known.authority
  const result = parseAuthority(grant.authority)
  const authority = result.ok ? result.authority : undefined
  parsed.set(grant, { authority })
  return authority
}
const parsed = new WeakMap<Grant, { authority: Authority | undefined }>()

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

/** The tree's state for refilling the store: limits less what the log says was taken. */
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
