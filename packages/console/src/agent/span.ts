import { serverNow } from '../api.ts'
import type { Stop } from '../types.ts'

export const spans = { day: '24 hours', week: '7 days', month: '30 days' } as const
export type SpanName = keyof typeof spans

const dayMs = 24 * 3600_000
const msOf: Record<SpanName, number> = { day: dayMs, week: 7 * dayMs, month: 30 * dayMs }

/** The time that the page covers. */
export interface Span {
  /** The key of its queries. It stays the same as time passes. */
  name: string
  words: string
  /** The current times, for the next query. */
  times(): { from: string; to: string }
  /** Whether it is open-ended, so that new events are in it. */
  isLive: boolean
}

/**
 * The time that the address names. Without one: the last day, or for a stopped agent the day before its stop and all since, as far as evidence
 * answers at once.
 */
export function spanOf(
  { from, to, span }: { from?: string | undefined; to?: string | undefined; span?: string | undefined },
  stop: Stop | null,
): Span {
  if (isTime(from) && isTime(to) && Date.parse(from) <= Date.parse(to))
    return { name: `${from} ${to}`, words: 'the time of this link', times: () => ({ from, to }), isLive: false }
  if (span !== undefined && Object.hasOwn(spans, span)) return lately(span as SpanName)
  const since = stop === null ? undefined : Date.parse(stop.at) - dayMs
  if (stop === null || since === undefined || serverNow() - since > msOf.month) return lately('day')
  return {
    name: `stop ${stop.sequence}`,
    words: '24 hours before the stop, and since',
    times: () => ({ from: iso(since), to: iso(serverNow()) }),
    isLive: true,
  }
}

/** The newest day, week or month. */
export const lately = (name: SpanName): Span => ({
  name,
  words: `the last ${spans[name]}`,
  times: () => ({ from: iso(serverNow() - msOf[name]), to: iso(serverNow()) }),
  isLive: true,
})

const iso = (ms: number): string => new Date(ms).toISOString()
const isTime = (text: string | undefined): text is string =>
  text !== undefined &&
  /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/.test(text) &&
  !Number.isNaN(Date.parse(text))
