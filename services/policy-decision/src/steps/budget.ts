import type { SpendView } from '@bailiwick/projection'
import type { EvaluationRequest } from '../http/evaluation-request.ts'
import type { Level, Levels } from './authority.ts'
import type { Permitted } from './policy.ts'
import type { Recorded } from './recorded.ts'
import { type Budgeted, type Reservation, reserve, type Taken } from './reserve.ts'
import { refuse, type Verdict } from './steps.ts'

/** An approval covers one action, once. A call that was taken and not given back is that one time. */
export function oneAction({ tree, view }: Pick<Recorded, 'tree'> & { view: SpendView }): Verdict {
  if (tree.grant.mode !== 'per_action' || !(view.taken.calls > 0n)) return undefined
  return refuse(view.held.calls > 0n ? 'uses_reserved' : 'uses_exhausted')
}

export type Reserved = Extract<Reservation, { ok: true }>

/** The tree, and each link down to the acting agent, has enough left for the action (V9). */
export function budget({
  levels,
  view,
  request,
  imposed,
}: Pick<Permitted, 'imposed'> & {
  levels: Levels
  view: SpendView
  request: EvaluationRequest
}): Verdict<{ reservation: Reserved }> {
  const bytes = { asked: request.observed.answer_bytes, most: imposed.limitBytes }
  const reservation = reserve(budgeted(levels, view), bytes)
  return reservation.ok ? { reservation } : refuse(reservation.reason)
}

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
