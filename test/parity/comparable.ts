/** Members that differ from run to run in any case: ids, times, salts, hashes, signatures, sequences, positions (V16). */
const ownOfARun = new Set(['time', 'sequence', 'previous', 'jws', 'partitionkey', 'traceparent', 'nonce', 'call_id'])

/**
 * The content of an event, independent of time and place, as text for a multiset. Strings that are ids, hashes, keys,
 * salts, signatures or times are replaced by their kind, and so are numbers that are times. The producer is replaced by
 * its service.
 */
export function comparable(bytes: Uint8Array): string {
  const event = JSON.parse(Buffer.from(bytes).toString('utf8')) as Record<string, unknown>
  return JSON.stringify(masked({ ...event, id: undefined, source: String(event.source).split('/')[1] }))
}

function masked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(masked)
  if (typeof value === 'string') return maskedText(value)
  if (typeof value === 'number') return value > 1e9 ? '<time>' : value
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).filter(([name]) => !ownOfARun.has(name))
  return Object.fromEntries(
    members.map(([name, member]): [string, unknown] => [maskedText(name), masked(member)]).toSorted(byName),
  )
}

const byName = ([a]: [string, unknown], [b]: [string, unknown]) => (a < b ? -1 : 1)

const someId = /^(req|grt|crd|dec|evt|ins|dlg|call|chg)_[A-Za-z0-9_-]{16,}$/
/** One hash in a thousand has no digit in it, so letters of both cases count as well. */
const someHash = /^(?=.*(\d|[A-Z].*[a-z]|[a-z].*[A-Z]))[A-Za-z0-9_-]{20,}(\.[A-Za-z0-9_-]{20,})*$/

function maskedText(text: string): string {
  if (/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(text)) return '<time>'
  return text.replaceAll(/\bhttp:\/\/localhost:\d+/g, '<url>').replaceAll(/[A-Za-z0-9_.-]{20,}/g, (word) => {
    const [, kind] = someId.exec(word) ?? []
    return kind === undefined ? word.replace(someHash, '<hash>') : `<${kind}>`
  })
}

/** What one multiset has more often than the other, in words; empty when both are the same. */
export function differences(a: readonly string[], b: readonly string[]): string[] {
  const balance = new Map<string, number>()
  for (const text of a) balance.set(text, (balance.get(text) ?? 0) + 1)
  for (const text of b) balance.set(text, (balance.get(text) ?? 0) - 1)
  return [...balance]
    .filter(([, count]) => count !== 0)
    .map(([text, count]) => `${count > 0 ? '+' : ''}${count} ${text}`)
}
