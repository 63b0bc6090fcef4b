import type { RootDatabase } from 'lmdb'
import { hoursBetween } from '../index/activity.ts'
import type { Key, TouchedHour, Value } from '../index/index-format.ts'
import { mostTouchedRead, touchedBetween } from './touched.ts'

/** Agents that have a row of their own. */
export const mostDeniedAgents = 20
const mostReadOfOne = mostTouchedRead / mostDeniedAgents

export interface DeniedRows {
  /** Each with the rows that were read of it, the most denied agent first. */
  agents: readonly { agent: string; denied: number; rows: readonly TouchedHour[]; isWhole: boolean }[]
  moreAgents: number
}

/** What agents were denied between two times, ms since the epoch. One agent that asks for many things takes no other agent's place. */
export function deniedBetween(db: RootDatabase<Value, Key>, { from, to }: { from: number; to: number }): DeniedRows {
  const totals = new Map<string, number>()
  for (const { agent, denied } of hoursBetween(db, from, to))
    if (denied > 0) totals.set(agent, (totals.get(agent) ?? 0) + denied)
  const sorted = [...totals].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
  return {
    agents: sorted.slice(0, mostDeniedAgents).map(([agent, denied]) => {
      const rows = touchedBetween(db, agent, { from, to }, mostReadOfOne)
      return { agent, denied, rows, isWhole: rows.length < mostReadOfOne }
    }),
    moreAgents: Math.max(0, sorted.length - mostDeniedAgents),
  }
}
