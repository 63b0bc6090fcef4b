import type { OcsfEvent } from '@bailiwick/contracts'

/** The text without characters that would begin a new line, move a cursor, or reorder or hide text on the reader's screen. */
export const printable = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu, '\u{fffd}')

/** The agent of an instance `<agent id>/<instance>`. */
export const agentOf = (instance: string): string => {
  const cut = instance.lastIndexOf('/')
  return cut > 'spiffe://'.length ? instance.slice(0, cut) : instance
}

/** The privileges in an authority, one line for each action on each resource. For reading only: no decision depends on it. */
export function privilegesOf(authority: object | undefined): string[] {
  const permissions = authority !== undefined && 'permissions' in authority ? authority.permissions : []
  const lines = (Array.isArray(permissions) ? permissions : []).flatMap((permission: unknown) => {
    const { actions, resource } = Object(permission) as { actions?: unknown; resource?: unknown }
    const { type, id, id_prefix: prefix } = Object(resource) as Record<string, unknown>
    const where = typeof prefix === 'string' ? `${prefix}*` : typeof id === 'string' ? id : '*'
    return (Array.isArray(actions) ? actions : []).map((action) => `${action} ${type}:${where}`)
  })
  return lines.length > 0 ? lines : ['none']
}

/** Members that callers fill in: in their own words, and in any form. */
const theirs: ReadonlySet<string> = new Set(['data', 'details'])

/**
 * The value without empty texts and times before 1970, which OCSF does not allow. Writers of events may use them, and a strict reader would
 * refuse the whole event.
 */
export function stated<T>(value: T): T {
  if (Array.isArray(value)) return value.filter((item) => item !== '').map(stated) as T
  if (typeof value !== 'object' || value === null) return value
  const isStated = ([name, inner]: [string, unknown]) => inner !== '' && !(name.endsWith('_time') && Number(inner) < 0)
  const members = Object.entries(value).filter(isStated)
  return Object.fromEntries(members.map(([name, inner]) => [name, theirs.has(name) ? inner : stated(inner)])) as T
}

/** Texts and lists are cut to the first of these that makes the event fit. */
const limits = [
  { text: 4096, items: 256 },
  { text: 1024, items: 64 },
  { text: 256, items: 16 },
  { text: 128, items: 4 },
]

/**
 * The event in at most `most` bytes of JSON, cut where necessary, with each cut marked. The log has the whole leaf. A cut checkpoint would
 * no longer verify, so it is left out instead.
 */
export function fitted(event: OcsfEvent, most: number): OcsfEvent {
  const size = bytesOf(event)
  const longest = longestText(event)
  if (size <= most && longest <= (limits[0]?.text ?? 0)) return event
  for (const limit of limits) {
    const { note: _, ...checkpoint } = event.bailiwick.log.checkpoint
    const smaller = cut(event, limit) as OcsfEvent
    smaller.metadata.is_truncated = true
    smaller.metadata.untruncated_size = size
    smaller.bailiwick.log = limit === limits[0] ? event.bailiwick.log : { ...event.bailiwick.log, checkpoint }
    if (bytesOf(smaller) <= most) return smaller
  }
  throw new RangeError(`an event of ${size} bytes that cannot be cut`)
}

const bytesOf = (event: OcsfEvent) => Buffer.byteLength(JSON.stringify(event))

function longestText(value: unknown): number {
  if (typeof value === 'string') return value.length
  if (typeof value !== 'object' || value === null) return 0
  const { note: _, ...members } = value as Record<string, unknown>
  return Math.max(0, ...Object.values(members).map(longestText))
}

function cut(value: unknown, limit: { text: number; items: number }): unknown {
  if (typeof value === 'string') return value.length > limit.text ? value.slice(0, limit.text).toWellFormed() : value
  if (Array.isArray(value)) return value.slice(0, limit.items).map((item) => cut(item, limit))
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value)
  // Our own objects have fewer members, but callers choose the names of arguments.
  const kept = members.length > 48 ? members.slice(0, limit.items) : members
  return Object.fromEntries(kept.map(([name, inner]) => [name, cut(inner, limit)]))
}
