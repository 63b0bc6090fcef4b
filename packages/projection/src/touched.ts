import { parseMicros } from '@bailiwick/authority'
import type { BudgetAmounts } from '@bailiwick/contracts'

/** The activity under one label. */
export interface Touch {
  /** Calls, less calls given back. */
  count: number
  /** Micros by currency, less amounts given back. */
  spent: Map<string, bigint>
  /** ms since the epoch of the newest ALLOW. */
  lastAt: number
}

/** The activity of a task or an agent, in total and by label (DESIGN §7.4 step 6). */
export interface Touched {
  calls: number
  spent: ReadonlyMap<string, bigint>
  labels: ReadonlyMap<string, Readonly<Touch>>
  denials: number
  /** The most delegations between the grant's agent and the acting agent. */
  depth: number
}

/** What an ALLOW says about the things that it touches. */
export interface Act {
  labels: readonly string[]
  reserved: BudgetAmounts
  /** ms since the epoch. */
  at: number
  /** Set for a further round of a call. */
  round?: object
}

/** As how many calls, or uses of a permission, an ALLOW counts: a further round of a call as none. */
export const countedIn = ({ round }: Pick<Act, 'round'>): 0 | 1 => (round === undefined ? 1 : 0)

export function touch(labels: Map<string, Touch>, act: Act): void {
  const { labels: touched, reserved, at } = act
  for (const label of new Set(touched)) {
    const known = labels.get(label) ?? { count: 0, spent: new Map(), lastAt: at }
    known.count += countedIn(act)
    known.lastAt = Math.max(known.lastAt, at)
    addCost(known.spent, reserved.cost, 1n)
    labels.set(label, known)
  }
}

/** A call given back was not made, as far as is known. The label still counts as touched, because taint is never taken back. */
export function giveBackTouch(labels: ReadonlyMap<string, Touch>, act: Act, released: BudgetAmounts): void {
  for (const label of new Set(act.labels)) {
    const known = labels.get(label)
    if (!known) continue
    if (released.calls > 0) known.count -= countedIn(act)
    addCost(known.spent, released.cost, -1n)
  }
}

/** The activity as it would be without one of its ALLOWs. Its labels stay touched. */
export function without<T extends Pick<Touched, 'calls' | 'spent' | 'labels'>>(
  activity: T,
  act: Act & { released?: BudgetAmounts },
): T {
  const back = act.released
  const calls = back !== undefined && back.calls > 0 ? 0 : countedIn(act)
  const less = (from: ReadonlyMap<string, bigint>) => {
    const spent = new Map(from)
    addCost(spent, act.reserved.cost, -1n)
    if (back !== undefined) addCost(spent, back.cost, 1n)
    return spent
  }
  const labels = new Map(activity.labels)
  for (const label of new Set(act.labels)) {
    const known = labels.get(label)
    if (known) labels.set(label, { ...known, count: known.count - calls, spent: less(known.spent) })
  }
  return { ...activity, calls: activity.calls - calls, spent: less(activity.spent), labels }
}

export function addCost(spent: Map<string, bigint>, cost: BudgetAmounts['cost'], sign: bigint): void {
  for (const [currency, amount] of Object.entries(cost))
    spent.set(currency, (spent.get(currency) ?? 0n) + sign * (parseMicros(amount) ?? 0n))
}
