import type { Touched, TouchedThing } from '../types.ts'
import { money, number } from '../ui/numbers.ts'
import { deniedIn, outcomeWords, reasonsIn } from './calls.ts'

/** `1 call`, `2 calls`. */
export const counted = (count: number, one: string, more = `${one}s`): string =>
  `${number(count)} ${count === 1 ? one : more}`

export const costText = (cost: Readonly<Record<string, string>>): string =>
  Object.entries(cost)
    .map(([currency, amount]) => money(amount, currency))
    .join(', ')

export const outcomesText = (outcomes: Readonly<Record<string, number>>): string =>
  Object.entries(outcomes)
    .filter(([, count]) => count > 0)
    .sort((a, b) => b[1] - a[1])
    .map(([status, count]) => `${number(count)} ${outcomeWords(status).toLowerCase()}`)
    .join(', ')

/** A code as people read it. */
export const reasonWords = (reason: string): string => reason.replaceAll('_', ' ')

/** The things that were used or denied, without those that saw only a first try. */
export const shownThings = ({ things }: Pick<Touched, 'things'>): TouchedThing[] =>
  things.filter((thing) => thing.allowed > 0 || deniedIn(thing) > 0)

/** The things that calls were allowed on; denials touched nothing. */
const reached = ({ things }: Pick<Touched, 'things'>): TouchedThing[] => things.filter(({ allowed }) => allowed > 0)

/** How many tools and resources calls were allowed on. */
export const countReached = (touched: Pick<Touched, 'things'>): number =>
  new Set(reached(touched).map(({ type, resource }) => `${type} ${resource}`)).size

/** ALLOWs without an outcome so far. */
export function withoutOutcome({ allowed, outcomes }: Pick<Touched, 'allowed' | 'outcomes'>): number {
  const ended = Object.entries(outcomes).filter(([status]) => status !== 'continued' && status !== 'taken_back')
  return Math.max(0, allowed - ended.reduce((total, [, count]) => total + count, 0))
}

/** Whether there may be more tools and resources than are listed. */
export const hasMoreThings = ({ complete, more_things }: Pick<Touched, 'complete' | 'more_things'>): boolean =>
  !complete || more_things > 0

/** The things that an agent touched, in plain sentences, the most important first. If the page did not read all, each number is a minimum. */
export function sentencesOf(touched: Touched): string[] {
  const { allowed, cost, outcomes, complete } = touched
  const denied = deniedIn(touched)
  const things = countReached(touched)
  const through = new Set(touched.things.flatMap(({ through }) => (through === undefined ? [] : [through])))
  const open = withoutOutcome(touched)
  const [worst] = reasonsIn(touched)
  const least = complete ? '' : 'at least '
  const none = (known: string, unknown: string) => (complete ? known : `${unknown} is not known: not all was read.`)
  return [
    allowed === 0
      ? none('No call was allowed.', 'Whether a call was allowed')
      : `${capital(least)}${counted(allowed, 'call')} ${allowed === 1 ? 'was' : 'were'} allowed, on ${hasMoreThings(touched) ? 'at least ' : ''}${counted(things, 'tool or resource', 'tools and resources')}: ${outcomesText(outcomes) || 'no outcome is known yet'}.`,
    ...(open > 0 && open < allowed ? [`${counted(open, 'call')} ${open === 1 ? 'has' : 'have'} no outcome yet.`] : []),
    Object.keys(cost).length === 0
      ? none('No money was spent.', 'Whether money was spent')
      : `${capital(least)}${costText(cost)} was spent.`,
    denied === 0
      ? none('Nothing was denied.', 'Whether a call was denied')
      : `${capital(least)}${counted(denied, 'call')} ${denied === 1 ? 'was' : 'were'} denied${worst === undefined ? '' : `, most often for: ${reasonWords(worst[0])}`}.`,
    ...(through.size > 0 ? [`It acted through ${counted(through.size, 'other agent')}.`] : []),
    ...(complete
      ? []
      : [
          'There is more than can be counted at once: of the first hour only a part may be counted, and nothing from earlier hours.',
        ]),
  ]
}

const capital = (words: string): string => words.slice(0, 1).toUpperCase() + words.slice(1)
