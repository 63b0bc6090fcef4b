import type { RequestRow } from '../types.ts'
import { modeWords } from '../ui/parts.tsx'
import type { Filters, View } from './inbox-asks.ts'

export interface Choice {
  value: string
  text: string
}

const risks: Choice[] = [
  { value: 'high', text: 'High risk' },
  { value: 'medium', text: 'Medium risk' },
  { value: 'low', text: 'Low risk' },
]
const modes: Choice[] = Object.entries(modeWords).map(([value, text]) => ({ value, text }))

/** The choices of each filter: of agents and rules, those in the list, and the one that is chosen. */
export function choicesIn(rows: readonly RequestRow[], { agent, rule }: Filters): Record<keyof Filters, Choice[]> {
  const agents = new Map(rows.flatMap(({ from }) => (from ? [[from.id, from.name ?? from.id] as const] : [])))
  const rules = new Map(rows.flatMap((row) => (row.rule === null ? [] : [[row.rule, row.rule] as const])))
  if (agent !== undefined && !agents.has(agent)) agents.set(agent, agent.split('/').at(-1) ?? agent)
  if (rule !== undefined) rules.set(rule, rule)
  const sorted = (choices: ReadonlyMap<string, string>) =>
    [...choices].map(([value, text]) => ({ value, text })).toSorted((a, b) => (a.text < b.text ? -1 : 1))
  return { risk: risks, mode: modes, agent: sorted(agents), rule: sorted(rules) }
}

/** How many waiting requests a filter or a search hides. */
export function beyondWords({ count, high }: { count: number; high: number }, view: View): string {
  const risk = high === 0 ? '' : high === count ? ', of high risk' : `, ${high} of high risk`
  const who = view === 'mine' ? ' for you' : ''
  return `Filtered: ${count} more ${count === 1 ? 'request waits' : 'requests wait'}${who}${risk}.`
}

/** What came since the list was read. */
export function arrivedWords({ count, high }: { count: number; high: number }): string {
  const risk = high === 0 ? '' : high === count ? ', high risk' : `, ${high} of high risk`
  return `${count} new${risk}: show`
}
