import type { RootDatabase } from 'lmdb'
import { hoursBetween } from '../index/activity.ts'
import type { Key, TouchedHour, Value } from '../index/index-format.ts'
import { touchedBetween } from './touched.ts'

/** Agents that have a row of their own. */
export const mostDeniedAgents = 20
const mostRowsOfOne = 500
/** So that calls that were allowed hide no denial before them: the agent chooses how many there are. */
const mostReadOfOne = 2500

export interface DeniedRows {
  /** Each with the rows of what it was denied itself, newest first; the most denied agent first. */
  agents: readonly { agent: string; denied: number; rows: readonly TouchedHour[]; isWhole: boolean }[]
  moreAgents: number
}

/** The denials of agents between two times, ms since the epoch. An agent that asks for many things takes no other agent's place. */
export function deniedBetween(db: RootDatabase<Value, Key>, { from, to }: { from: number; to: number }): DeniedRows {
  const totals = new Map<string, number>()
  for (const { agent, denied } of hoursBetween(db, from, to))
    if (denied > 0) totals.set(agent, (totals.get(agent) ?? 0) + denied)
  const sorted = [...totals].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
  return {
    agents: sorted.slice(0, mostDeniedAgents).map(([agent, denied]) => {
      const read = touchedBetween(db, agent, { from, to }, mostReadOfOne)
      const rows = read.filter((row) => row.denied > 0 && row.through === undefined)
      const isWhole = read.length < mostReadOfOne && rows.length <= mostRowsOfOne
      return { agent, denied, rows: rows.slice(0, mostRowsOfOne), isWhole }
    }),
    moreAgents: Math.max(0, sorted.length - mostDeniedAgents),
  }
}
