import { deniedIn, reasonsIn } from '../agent/calls.ts'
import type { DeniedThings } from '../types.ts'

/** More columns than these cannot be compared at a glance; the others share one. */
const mostColumns = 10
const levels = 5

export interface DenialCell {
  denied: number
  /** How dark it is: 0 for no denial, else 1 to 5. */
  level: number
  /** The most frequent first. */
  reasons: [reason: string, count: number][]
}

export interface DenialsGrid {
  /** Names of tools or resources, the most denied first. */
  columns: string[]
  /** `denied` is more than the cells have, if evidence did not read all that the agent was denied. */
  rows: { agent: string; denied: number; cells: DenialCell[] }[]
  /** Whether there are denials that the grid does not have. */
  isCut: boolean
}

type Counted = Pick<DeniedThings['agents'][number]['things'][number], 'denied' | 'reasons'>

export const summedUp = 'summed up'
export const others = 'others'

/** Which agents were denied which tools: the rows and columns of a picture. Denials of a first try, which the SDK repeats, are left out. */
export function denialsGrid({ agents, more_agents }: DeniedThings): DenialsGrid {
  const totals = new Map<string, number>()
  for (const { things } of agents)
    for (const thing of things) totals.set(nameOf(thing), (totals.get(nameOf(thing)) ?? 0) + deniedIn(thing))
  const sorted = [...totals].filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1])
  const named = sorted.slice(0, sorted.length > mostColumns ? mostColumns - 1 : mostColumns).map(([name]) => name)
  const columns = sorted.length > named.length ? [...named, others] : named
  const rows = agents
    .map(({ agent, denied, things }) => {
      const cells = columns.map((column) =>
        total(
          things.filter((thing) => (column === others ? !named.includes(nameOf(thing)) : nameOf(thing) === column)),
        ),
      )
      const shown = cells.reduce((sum, cell) => sum + cell.denied, 0)
      // An agent chooses how much it does, and so whether all of it is read: evidence's total still counts its denials.
      return { agent, denied: Math.max(denied, shown), cells }
    })
    .filter(({ denied }) => denied > 0)
    .sort((a, b) => b.denied - a.denied)
  const most = Math.max(1, ...rows.flatMap(({ cells }) => cells.map(({ denied }) => denied)))
  for (const { cells } of rows) for (const cell of cells) cell.level = levelOf(cell.denied, most)
  return { columns, rows, isCut: more_agents > 0 || agents.some(({ complete }) => !complete) }
}

const nameOf = ({ resource, action }: DeniedThings['agents'][number]['things'][number]): string =>
  resource ?? action ?? summedUp

function total(things: readonly Counted[]): DenialCell {
  const reasons: Record<string, number> = {}
  for (const thing of things)
    for (const [reason, count] of Object.entries(thing.reasons))
      reasons[reason] = (Object.hasOwn(reasons, reason) ? (reasons[reason] ?? 0) : 0) + count
  return {
    denied: things.reduce((sum, thing) => sum + deniedIn(thing), 0),
    level: 0,
    reasons: reasonsIn({ reasons }),
  }
}

/** By the order of magnitude: one loud agent leaves the others visible. */
const levelOf = (denied: number, most: number): number =>
  denied === 0 ? 0 : Math.max(1, Math.ceil((Math.log1p(denied) / Math.log1p(most)) * levels))
