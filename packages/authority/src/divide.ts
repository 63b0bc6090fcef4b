import { formatMicros, parseMicros } from './decimal.ts'
import { delegatesOf } from './delegates.ts'
import type { Authority, Budget } from './schema.ts'

/**
 * Divides an authority: each part has the permissions of one group of indexes, in order, and a share of every limit. Together the parts
 * allow nothing that the whole does not (`narrows(together(parts), whole)`): no budget is duplicated. Shares are equal, and the remainder
 * goes to the first part; money is shared among the parts that can spend it. Depth is not a budget, so each part keeps it. Every permission
 * must be in exactly one group.
 */
export function divide(whole: Authority, groups: readonly (readonly number[])[]): Authority[] {
  const permissions = groups.map((group) => whole.permissions.filter((_, index) => group.includes(index)))
  const spending = permissions.flatMap((own, part) => (own.some(({ cost }) => cost !== undefined) ? [part] : []))
  return permissions.map((own, part) => ({
    ...whole,
    permissions: own,
    budget: budgetShare(whole.budget, {
      all: (amount) => share(amount, groups.length, part),
      spending: (amount) =>
        spending.includes(part) ? share(amount, spending.length, spending.indexOf(part)) : undefined,
    }),
    max_children: Number(share(BigInt(whole.max_children), groups.length, part)),
  }))
}

function budgetShare(
  { calls, egress_bytes, cost }: Budget,
  of: { all: (amount: bigint) => bigint; spending: (amount: bigint) => bigint | undefined },
): Budget {
  const money = Object.entries(cost ?? {}).flatMap(([currency, amount]) => {
    const micros = of.spending(parseMicros(amount) ?? 0n)
    return micros === undefined ? [] : [[currency, formatMicros(micros)] as const]
  })
  return {
    ...(calls === undefined ? {} : { calls: Number(of.all(BigInt(calls))) }),
    ...(cost === undefined ? {} : { cost: Object.fromEntries(money) }),
    ...(egress_bytes === undefined ? {} : { egress_bytes: Number(of.all(BigInt(egress_bytes))) }),
  }
}

function share(amount: bigint, parts: number, part: number): bigint {
  const [count, index] = [BigInt(parts), BigInt(part)]
  return amount / count + (index < amount % count ? 1n : 0n)
}

/**
 * What several authorities of one task allow together: all their permissions, with the sum of their limits. Use it with `narrows` to
 * compare the parts with the authority from which they were made. It may have more permissions than `parseAuthority` accepts.
 */
export function together(parts: readonly [Authority, ...Authority[]]): Authority {
  const [{ delegates: _, ...first }] = parts
  const budgets = parts.map(({ budget }) => budget)
  const sum = (amounts: readonly (number | undefined)[]) =>
    amounts.reduce((total, amount) => (total === undefined || amount === undefined ? undefined : total + amount), 0)
  const calls = sum(budgets.map((budget) => budget.calls))
  const egress = sum(budgets.map((budget) => budget.egress_bytes))
  const delegates = parts.map(delegatesOf)
  const cost = new Map<string, bigint>()
  for (const budget of budgets)
    for (const [currency, amount] of Object.entries(budget.cost ?? {}))
      cost.set(currency, (cost.get(currency) ?? 0n) + (parseMicros(amount) ?? 0n))
  return {
    ...first,
    permissions: parts.flatMap(({ permissions }) => permissions),
    budget: {
      ...(calls === undefined ? {} : { calls }),
      ...(budgets.every((budget) => budget.cost === undefined)
        ? {}
        : { cost: Object.fromEntries([...cost].map(([currency, micros]) => [currency, formatMicros(micros)])) }),
      ...(egress === undefined ? {} : { egress_bytes: egress }),
    },
    max_depth: Math.max(...parts.map(({ max_depth }) => max_depth)),
    max_children: parts.reduce((total, { max_children }) => total + max_children, 0),
    ...(delegates.includes('any') ? {} : { delegates: [...new Set(delegates.flat())] }),
  }
}
