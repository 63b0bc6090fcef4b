import type { RequestRow } from '../types.ts'
import { modeWords } from '../ui/parts.tsx'

/** What the inbox can show. `asks`: as the server is asked for it. */
export const views = {
  mine: { title: 'For you', asks: { state: 'pending', mine: 'true' }, empty: 'No agent waits for you.' },
  all: { title: 'All waiting', asks: { state: 'pending' }, empty: 'No agent waits.' },
  answered: { title: 'Answered', asks: { state: 'answered' }, empty: 'Nothing has been answered yet.' },
} as const
export type View = keyof typeof views
export const viewTitles = { mine: views.mine.title, all: views.all.title, answered: views.answered.title }
export const viewOf = (text: string | undefined): View =>
  text !== undefined && Object.hasOwn(views, text) ? (text as View) : 'mine'

export const filterNames = ['risk', 'mode', 'agent', 'rule'] as const
export type Filters = Partial<Record<(typeof filterNames)[number], string>>
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
