/** A value that an event holds only as a salted hash. */
export interface Commitment {
  /** Where in the event's data, as a JSON pointer: `/purpose`. */
  readonly at: string
  readonly salted_sha256: string
}

/** Where a decision holds its call. */
export const callAt = '/action/call'

/** What these data commit to without saying it (DESIGN §4). */
export function commitmentsIn(data: unknown, at = ''): Commitment[] {
  if (typeof data !== 'object' || data === null) return []
  const entries = Object.entries(data)
  const [only] = entries
  if (entries.length === 1 && only?.[0] === 'salted_sha256' && typeof only[1] === 'string')
    return [{ at, salted_sha256: only[1] }]
  return entries.flatMap(([member, inner]) =>
    commitmentsIn(inner, `${at}/${member.replaceAll('~', '~0').replaceAll('/', '~1')}`),
  )
}
