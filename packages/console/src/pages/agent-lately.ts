import type { Activity, Grant } from '../types.ts'

/** How long approval surely remembers the grants that it reads, which end after 8 h at most. */
export const grantHours = 9
const hourMs = 3_600_000

/** How often an agent got ALLOW and DENY in the hours of an answer of evidence. */
export function answersTo(agent: string, { agents }: Activity): { allowed: number; denied: number } {
  const own = agents.filter((one) => one.agent === agent)
  const sum = (of: (one: Activity['agents'][number]) => readonly number[]) =>
    own.flatMap(of).reduce((total, count) => total + count, 0)
  return { allowed: sum(({ allowed }) => allowed), denied: sum(({ denied }) => denied) }
}

/** What was spent and reserved under the agent's own grants that are not older than that, by currency; sub-agents included. */
export function spentBy(agent: string, grants: readonly Grant[], now: number): Map<string, string> {
  const spent = new Map<string, string>()
  for (const { from, created_at, taken } of grants) {
    if (from.id !== agent || Date.parse(created_at) < now - grantHours * hourMs) continue
    for (const [currency, amount] of Object.entries(taken.cost))
      spent.set(currency, plus(spent.get(currency) ?? '0', amount))
  }
  return spent
}

/** The exact sum of two decimals that are not negative. */
export function plus(a: string, b: string): string {
  const places = Math.max(...[a, b].map((each) => each.split('.')[1]?.length ?? 0))
  const scaled = (text: string) => {
    const [whole = '', decimals = ''] = text.split('.')
    return BigInt(whole + decimals.padEnd(places, '0'))
  }
  const digits = String(scaled(a) + scaled(b)).padStart(places + 1, '0')
  return places === 0 ? digits : `${digits.slice(0, -places)}.${digits.slice(-places)}`
}
