import { hourMs } from './activity.ts'
import type { ActivityHour } from './index-format.ts'

/** Agents that have a line of their own; the others share one. */
const mostAgents = 20

/** One agent's answers, one number for each hour from the first to the last, in order. */
interface AgentActivity {
  /** null: all others together. */
  agent: string | null
  allowed: number[]
  denied: number[]
}

/** The data for the activity picture, busiest agents first. */
export function activityOf(hours: readonly ActivityHour[], { from, to }: { from: number; to: number }) {
  const first = Math.floor(from / hourMs)
  const count = Math.floor(to / hourMs) - first + 1
  const totals = new Map<string, number>()
  for (const { agent, allowed, denied } of hours) totals.set(agent, (totals.get(agent) ?? 0) + allowed + denied)
  const named = new Set(
    [...totals]
      .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
      .slice(0, mostAgents)
      .map(([agent]) => agent),
  )
  const empty = () => new Array<number>(count).fill(0)
  const agents = new Map<string | null, AgentActivity>()
  for (const agent of named) agents.set(agent, { agent, allowed: empty(), denied: empty() })
  for (const { agent, hour, allowed, denied } of hours) {
    const line = named.has(agent) ? agent : null
    const activity = agents.get(line) ?? { agent: line, allowed: empty(), denied: empty() }
    agents.set(line, activity)
    const at = hour - first
    activity.allowed[at] = (activity.allowed[at] ?? 0) + allowed
    activity.denied[at] = (activity.denied[at] ?? 0) + denied
  }
  return { from: new Date(first * hourMs).toISOString(), hours: count, agents: [...agents.values()] }
}
