import { parseStrictJson } from '@bailiwick/contracts'
import type { LeafEvent, Told } from './told.ts'

/** The members of every event, from any version: enough to find its leaf and its producer. */
export type UnreadEvent = Pick<LeafEvent, 'id' | 'source' | 'subject' | 'time'> & { type: string; dataschema: string }

export const isUnread = (event: LeafEvent | UnreadEvent): event is UnreadEvent => !('data' in event)

/** The envelope of a leaf whose event this version does not know. It was decoded once, so it is JSON; nothing else about it is trusted. */
export function unreadEvent(bytes: Uint8Array): UnreadEvent {
  const members = parseStrictJson(bytes) as Record<string, unknown>
  const text = (member: string) => {
    const value = members[member]
    return typeof value === 'string' && value !== '' ? value : 'unknown'
  }
  const time = text('time')
  return {
    id: text('id'),
    source: text('source'),
    subject: text('subject'),
    type: text('type'),
    dataschema: text('dataschema'),
    time: Number.isFinite(Date.parse(time)) ? time : new Date(0).toISOString(),
  }
}

/**
 * A leaf with a type or form that this version does not know: a newer version wrote it, and was then replaced by an older one. The leaf
 * is reported, since a stream that stopped at it would hide all later leaves, and one that skipped it would hide this one. Its content is
 * not guessed.
 */
export function tellUnread({ id, type, subject, time, dataschema }: UnreadEvent): Told<'detection_finding'> {
  const title = 'A leaf that this version cannot read'
  const desc = 'A newer version wrote it. The log holds all of it, and a reader of that version can read it.'
  const said = { type, subject, dataschema }
  return {
    class: 'detection_finding',
    activity: 1,
    severity: 3,
    status: { id: 1, caption: 'New' },
    message: `${title}: ${type}`,
    body: {
      finding_info: { uid: id, title, types: [type], created_time: Date.parse(time), desc },
      evidences: [{ data: said }],
      is_alert: true,
    },
    says: { details: said },
  }
}
