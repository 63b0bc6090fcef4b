import type { EventRow, Grant } from '../types.ts'
import { amountOf, micros } from '../ui/amounts.ts'
import { isCall } from './calls.ts'

/** What was left of a limit after a call. */
export interface Left {
  /** ms since the epoch. */
  at: number
  /** What the call took. */
  took: string
  left: string
}

export interface BurnDown {
  /** A currency, or `calls`. */
  unit: string
  limit: string
  /** What was left when the first of the calls came. */
  first: Left
  /** Oldest first. */
  calls: Left[]
  /** ms since the epoch: when nothing is left at the average pace so far. Undefined: not before the grant ends. */
  usedUpAt: number | undefined
}

/** No pace is computed before this part of the grant's life has passed. */
const earliest = 20

/** The limits of a grant that can be drawn. */
export const unitsOf = ({ budget }: Grant): string[] => [
  ...Object.keys(budget.cost ?? {}),
  ...(budget.calls === undefined ? [] : ['calls']),
]

/**
 * What was left of one limit after each call. `events`: the grant's newest decisions, newest first. What is left now is exact: decision points
 * judge by it. So the calls are counted back from it, and those that are not among `events` change nothing.
 */
export function burnDown(grant: Grant, events: readonly EventRow[], unit: string, now: number): BurnDown | undefined {
  const { budget, taken, created_at, not_after, state } = grant
  const limit = unit === 'calls' ? budget.calls : budget.cost?.[unit]
  if (limit === undefined) return undefined
  let left = micros(limit) - micros(unit === 'calls' ? taken.calls : (taken.cost[unit] ?? '0'))
  const atLast = left
  const calls: Left[] = []
  for (const event of events) {
    if (!isCall(event) || event.type !== 'decision.allowed' || event.outcome?.status === 'taken_back') continue
    const took = unit === 'calls' ? micros(1) : micros(event.cost?.[unit] ?? '0')
    if (took === 0n) continue
    calls.unshift({ at: Date.parse(event.time), took: amountOf(took), left: amountOf(left) })
    left += took
  }
  const begin = Date.parse(created_at)
  const spent = micros(limit) - atLast
  const usedUpAt =
    state === 'active' && spent > 0n && atLast > 0n && now - begin > (Date.parse(not_after) - begin) / earliest
      ? now + Number((BigInt(Math.round(now - begin)) * atLast) / spent)
      : undefined
  return {
    unit,
    limit: String(limit),
    first: { at: left === micros(limit) ? begin : (calls[0]?.at ?? begin), took: '0', left: amountOf(left) },
    calls,
    usedUpAt: usedUpAt !== undefined && usedUpAt < Date.parse(not_after) ? usedUpAt : undefined,
  }
}
