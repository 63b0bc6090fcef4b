import { formatMicros, parseMicros } from '@bailiwick/authority'
import type { AllowRecord, SpendView } from '@bailiwick/projection'
import type { EvaluationRequest } from '../http/evaluation-request.ts'
import type { GoesOn } from '../rounds/rounds.ts'
import type { Level, Levels } from './authority.ts'
import type { Permitted } from './policy.ts'
import type { Recorded } from './recorded.ts'
import { type Budgeted, type Reservation, reserve, reserveRound, type Taken } from './reserve.ts'
import { refuse, type Verdict } from './steps.ts'

/** An approval covers one action, once. A call that was taken and not given back is that one time. */
export function oneAction({ tree, view }: Pick<Recorded, 'tree'> & { view: SpendView }): Verdict {
  if (tree.grant.mode !== 'per_action' || !(view.taken.calls > 0n)) return undefined
  return refuse(view.held.calls > 0n ? 'uses_reserved' : 'uses_exhausted')
}

export type Reserved = Extract<Reservation, { ok: true }>

/** The tree, and each link down to the acting agent, has enough left for the action (V9). A further round of a call takes bytes alone. */
export function budget({
  levels,
  view,
  request,
  imposed,
  from,
}: Pick<Permitted, 'imposed'> &
  GoesOn & {
    levels: Levels
    view: SpendView
    request: EvaluationRequest
  }): Verdict<{ reservation: Reserved }> {
  const bytes = { asked: request.observed.answer_bytes, most: imposed.limitBytes }
  const each = budgeted(levels, view)
  const reservation = from === undefined ? reserve(each, bytes) : reserveRound(each, chargedBy(from), bytes)
  return reservation.ok ? { reservation } : refuse(reservation.reason)
}

/** The permission that a round was charged to at each level. */
const chargedBy = ({ permission, chain = [] }: AllowRecord) => [permission, ...chain.map((link) => link.permission)]

const nothing: Taken = {
  taken: { calls: 0n, egressBytes: 0n, cost: new Map() },
  uses: new Map(),
  open: 0,
  held: { calls: 0n, cost: new Map(), uses: new Map() },
  unmeasured: 0,
}

/** Each level with what was taken from it: from the grant by the whole tree, from a link by all agents at and below it. */
export function budgeted([grant, ...links]: Levels, view: SpendView): readonly [Budgeted, ...Budgeted[]] {
  const of = ({ holder: { authority }, covering }: Level, spent: Taken) => ({ authority, covering, spent })
  return [of(grant, view), ...links.map((link) => of(link, view.links.get(link.holder.id) ?? nothing))]
}

/** What an enforcement point may know before it asks for an action whose price it can choose. */
export interface BudgetLeft {
  /** By currency: the least that the grant and each link have left. Amounts that calls under way hold are not left. */
  cost: Record<string, string>
  /** Of each permission of the acting agent that covers the action: the arguments in which it reads a cost. `null`: it costs nothing. */
  priced: ({ amount: string; currency: string } | null)[]
}

/** A moment later it may be less: only a decision reserves. */
export function budgetLeft(levels: readonly [Budgeted, ...Budgeted[]]): BudgetLeft {
  const least = new Map<string, bigint>()
  for (const { authority, spent } of levels)
    for (const [currency, amount] of Object.entries(authority.budget.cost ?? {})) {
      const left = (parseMicros(amount) ?? 0n) - (spent.taken.cost.get(currency) ?? 0n)
      const known = least.get(currency)
      least.set(currency, known === undefined || left < known ? left : known)
    }
  const acting = levels.at(-1) ?? levels[0]
  return {
    cost: Object.fromEntries([...least].map(([currency, left]) => [currency, formatMicros(left < 0n ? 0n : left)])),
    priced: acting.covering.map(({ index }) => acting.authority.permissions[index]?.cost ?? null),
  }
}
