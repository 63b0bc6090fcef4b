import type { TraceStep } from '../types.ts'
import { type EventRow, eventRows } from './event-rows.ts'

export type Tone = EventRow['tone']

const rowOf = (type: string): EventRow | undefined => (Object.hasOwn(eventRows, type) ? eventRows[type] : undefined)

/** The words for an event of this type, and whether it is bad news. */
export const wordsOf = (type: string): string => rowOf(type)?.words ?? capital(type.replace(/[.-]/g, ' '))
export const toneOf = (type: string): Tone => rowOf(type)?.tone ?? 'plain'

const capital = (words: string) => words.slice(0, 1).toUpperCase() + words.slice(1)

type Data = Record<string, unknown>
const within = (data: unknown, ...path: string[]): string | undefined => {
  let at = data
  for (const member of path) at = typeof at === 'object' && at !== null ? (at as Data)[member] : undefined
  return typeof at === 'string' ? at : undefined
}

/** The detail of a step that people look for first. It is untrusted text. */
export function gistOf({ type, data, subject }: Pick<TraceStep, 'type' | 'data' | 'subject'>): string {
  const parts = rowOf(type)?.gist ?? [{ of: ['subject'] }]
  const texts = parts.map(({ of, after }) => {
    const text = of
      .map((at) => (at === 'subject' ? subject : within(data, ...at.slice(1).split('/'))))
      .find((found) => found !== undefined)
    return text === undefined || after === undefined ? text : `${after} ${text}`
  })
  return texts.filter((text) => text !== undefined).join(' · ')
}

/** The agent that acted, where the event says so: the sub-agent if there is one, otherwise the agent. */
export const actorOf = ({ data }: Pick<TraceStep, 'data'>): string | undefined =>
  within(data, 'actor', 'sub_agent') ??
  within(data, 'actor', 'agent') ??
  within(data, 'agent') ??
  within(data, 'grant', 'agent')

/** The address of an event's story: that of its subject, where the subject has one. */
export const storyOf = ({ subject, event_id }: { subject: string; event_id: string }): string =>
  `/console/evidence/${encodeURIComponent(/^(req|grt|dlg|crd|dec)_/.test(subject) ? subject : event_id)}`
