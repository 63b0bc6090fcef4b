import { parseStrictJson } from '@bailiwick/contracts'

/** What of an event the index needs, read from a leaf's bytes. */
export interface LeafFacts {
  eventId: string
  type: string
  source: string
  sequence: number | undefined
  /** Everything that the event names, its own id and subject included, each once. */
  ids: readonly string[]
}

/** Members whose values name something that a person may ask about, wherever in `data` they stand. */
const naming = new Set([
  'request_id',
  'grant_id',
  'delegation_id',
  'credential_id',
  'decision_id',
  'call_id',
  'change_id',
  'enrolment_id',
  'revocation_id',
  'event_id',
  'approver_id',
  'enforcement_point',
  'agent',
  'task',
  'by',
  'proposer',
  'target',
  'id',
])
const longestId = 2100

/** The facts of a leaf; its bytes were decoded before they became one. */
export function leafFacts(bytes: Uint8Array): LeafFacts {
  const event = parseStrictJson(bytes) as Record<string, unknown>
  const ids = new Set<string>()
  const name = (value: unknown) => {
    if (typeof value !== 'string' || value === '' || value.length > longestId) return
    ids.add(value)
    // Who asks about an agent means all its instances.
    const cut = value.startsWith('spiffe://') ? value.lastIndexOf('/') : -1
    if (cut > 'spiffe://'.length) ids.add(value.slice(0, cut))
  }
  const walk = (value: unknown): void => {
    if (Array.isArray(value)) for (const item of value) walk(item)
    else if (typeof value === 'object' && value !== null)
      for (const [member, inner] of Object.entries(value)) {
        if (naming.has(member)) name(inner)
        walk(inner)
      }
  }
  name(event.id)
  name(event.subject)
  walk(event.data)
  const { id: eventId, type, source, sequence } = event
  return {
    eventId: String(eventId),
    type: String(type),
    source: String(source),
    sequence: sequence === undefined ? undefined : Number(sequence),
    ids: [...ids],
  }
}
