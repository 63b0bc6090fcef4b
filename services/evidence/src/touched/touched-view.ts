import { hourMs } from '../index/activity.ts'
import type { TouchedHour } from '../index/index-format.ts'
import { more, mostTouchedRead, sum } from './touched.ts'

/** Things that have a row of their own; the others are counted together. */
const mostRows = 200

type Counts = Pick<TouchedHour, 'allowed' | 'denied' | 'reasons' | 'outcomes' | 'cost'>
type Row = Omit<TouchedHour, 'agent' | 'hour' | 'last'> & { last: string }

/** What one agent did and was denied between two times, by tool and resource, the most used first: denials displace nothing that was used. */
export function touchedOf(hours: readonly TouchedHour[], { from, to }: { from: number; to: number }) {
  const isWhole = hours.length < mostTouchedRead
  const first = isWhole ? Math.floor(from / hourMs) : (hours.at(-1)?.hour ?? 0)
  const things = new Map<string, TouchedHour>()
  const byHour = new Map<number, Counts>()
  let all = nothing
  for (const row of hours) {
    const { action, type, resource, mapped, through } = row
    const name = JSON.stringify([action, type, resource, mapped, through])
    const known = things.get(name)
    things.set(name, known === undefined ? row : { ...row, ...added(known, row), last: Math.max(known.last, row.last) })
    // An action that a mapping made of a call is not counted as a call.
    if (mapped) continue
    all = added(all, row)
    byHour.set(row.hour, added(byHour.get(row.hour) ?? nothing, row))
  }
  const sorted = [...things.values()].sort((a, b) => b.allowed - a.allowed || b.denied - a.denied || b.last - a.last)
  return {
    from: new Date(first * hourMs).toISOString(),
    to: new Date(to).toISOString(),
    /** Whether everything since the `from` that was asked for is counted. */
    complete: isWhole,
    ...all,
    hours: [...byHour]
      .sort((a, b) => a[0] - b[0])
      .map(([hour, { allowed, denied, reasons }]) => {
        return { at: new Date(hour * hourMs).toISOString(), allowed, denied, reasons }
      }),
    things: sorted.slice(0, mostRows).map(rowOf),
    more_things: Math.max(0, sorted.length - mostRows),
  }
}

const nothing: Counts = { allowed: 0, denied: 0, reasons: {}, outcomes: {}, cost: {} }

const rowOf = ({ agent: _, hour: __, last, ...row }: TouchedHour): Row => ({
  ...row,
  last: new Date(last).toISOString(),
})

const added = (one: Counts, other: Counts): Counts => ({
  allowed: one.allowed + other.allowed,
  denied: one.denied + other.denied,
  reasons: merged(one.reasons, other.reasons),
  outcomes: merged(one.outcomes, other.outcomes),
  cost: sum(one.cost, other.cost, 1n),
})

const merged = (one: Record<string, number>, other: Record<string, number>) =>
  Object.entries(other).reduce((counts, [name, count]) => more(counts, name, count), one)
