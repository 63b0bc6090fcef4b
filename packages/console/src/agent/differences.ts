import { shortAgent } from '../pages/evidence-search.tsx'
import type { EventRow } from '../types.ts'
import { resultOf } from './calls.ts'

/** A property that denied and failed calls have more often, or less often, than the others. */
export interface Difference {
  name: string
  value: string
  /** The part of the denied and failed calls that have it, and of the others: from 0 to 1. */
  inBad: number
  inGood: number
}

export interface Differences {
  bad: number
  good: number
  /** The largest first. */
  all: Difference[]
}

/** With fewer calls on a side, a difference says nothing. */
const fewest = 2
const leastDifference = 0.3
const mostShown = 6

/** How denied and failed calls differ from the others: by tool, task, agent and argument. */
export function differencesOf(calls: readonly EventRow[]): Differences | undefined {
  const isBad = (call: EventRow) => ['bad', 'warn'].includes(resultOf(call)[1])
  const [bad, good] = [calls.filter(isBad), calls.filter((call) => !isBad(call))]
  if (bad.length < fewest || good.length < fewest) return undefined
  const [inBad, inGood] = [sharesOf(bad), sharesOf(good)]
  const all = [...new Set([...inBad.keys(), ...inGood.keys()])]
    .map((key) => {
      const [name = '', value = ''] = JSON.parse(key) as string[]
      return { name, value, inBad: inBad.get(key) ?? 0, inGood: inGood.get(key) ?? 0 }
    })
    .filter((each) => sizeOf(each) >= leastDifference)
    .sort((a, b) => sizeOf(b) - sizeOf(a))
  return { bad: bad.length, good: good.length, all: all.slice(0, mostShown) }
}

const sizeOf = ({ inBad, inGood }: Difference) => Math.abs(inBad - inGood)

function sharesOf(calls: readonly EventRow[]): Map<string, number> {
  const shares = new Map<string, number>()
  for (const call of calls)
    for (const each of valuesOf(call)) {
      const key = JSON.stringify(each)
      shares.set(key, (shares.get(key) ?? 0) + 1 / calls.length)
    }
  return shares
}

const valuesOf = ({ resource, task, agent, arguments: named = {} }: EventRow): (readonly [string, string])[] => [
  ...(resource === undefined ? [] : [['Tool', resource] as const]),
  ...(task === undefined ? [] : [['Task', task] as const]),
  ...(agent === undefined ? [] : [['Agent', shortAgent(agent)] as const]),
  ...Object.entries(named).map(
    ([pointer, value]) => [pointer.slice(1), typeof value === 'string' ? value : JSON.stringify(value)] as const,
  ),
]
