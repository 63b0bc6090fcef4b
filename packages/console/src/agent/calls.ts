import type { EventRow } from '../types.ts'

/** The first try of a call, without the decision point's nonce. The SDK repeats it at once, so it is not counted as a denial. */
export const firstTry = 'proof_nonce_required'

/** Whether a caller got this decision, and it is not the denial of a first try. */
export const isCall = ({ type, void: isVoid, reason }: EventRow): boolean =>
  (type === 'decision.allowed' || type === 'decision.denied') && isVoid === undefined && reason !== firstTry

interface Denied {
  denied: number
  reasons: Readonly<Record<string, number>>
}

/** How many requests were denied. */
export const deniedIn = ({ denied, reasons }: Denied): number => denied - (reasons[firstTry] ?? 0)

/** The reasons of denials, the most frequent first. */
export const reasonsIn = ({ reasons }: Pick<Denied, 'reasons'>): [reason: string, count: number][] =>
  Object.entries(reasons)
    .filter(([reason]) => reason !== firstTry)
    .sort((a, b) => b[1] - a[1])

export type CallTone = 'good' | 'bad' | 'warn' | 'plain'

const outcomes: Readonly<Record<string, readonly [words: string, tone: CallTone]>> = {
  succeeded: ['Succeeded', 'good'],
  failed: ['Failed', 'warn'],
  continued: ['Asked back', 'plain'],
  not_executed: ['Not executed', 'plain'],
  not_observed: ['Not observed', 'warn'],
  unknown: ['Outcome unknown', 'warn'],
  missing: ['Outcome missing', 'bad'],
  taken_back: ['Taken back', 'plain'],
}

export const outcomeWords = (status: string): string =>
  (Object.hasOwn(outcomes, status) ? outcomes[status]?.[0] : undefined) ?? status

/** How a call ended, in one or two words. */
export function resultOf({ type, outcome }: EventRow): readonly [words: string, tone: CallTone] {
  if (type === 'decision.denied') return ['Denied', 'bad']
  if (outcome === undefined) return ['No outcome yet', 'plain']
  return (Object.hasOwn(outcomes, outcome.status) ? outcomes[outcome.status] : undefined) ?? [outcome.status, 'plain']
}

/** The place of a call on a line from the first call to the last: both ends, from 0 to 1. */
export interface Bar {
  from: number
  to: number
}

/** Wide enough to be seen. */
const least = 0.008

/** The place of each call among all of them. A call without an outcome, and a denial, is a point. */
export function barsOf(calls: readonly EventRow[]): Bar[] {
  const times = calls.map(({ time, outcome }) => {
    const at = Date.parse(time)
    // Two clocks: an outcome can carry a time before its decision.
    return { at, end: Math.max(at, outcome === undefined ? at : Date.parse(outcome.at)) }
  })
  const first = Math.min(...times.map(({ at }) => at))
  const whole = Math.max(...times.map(({ end }) => end)) - first
  return times.map(({ at, end }) => {
    if (whole <= 0) return { from: 0, to: 1 }
    const from = Math.min((at - first) / whole, 1 - least)
    return { from, to: Math.max((end - first) / whole, from + least) }
  })
}

/** The named arguments in one line. They are untrusted text. */
export const argumentsText = (named: Readonly<Record<string, unknown>> | undefined): string =>
  Object.entries(named ?? {})
    .map(([pointer, value]) => `${pointer.slice(1)}: ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(', ')
