const pointerText = /^(?:\/(?:[^~/]|~[01])*)+$/
const indexText = /^(?:0|[1-9][0-9]*)$/

/**
 * Whether a text is a JSON pointer (RFC 6901 §3) to something inside the document. The empty pointer, which names the whole document, is
 * not accepted: arguments are an object, which no comparison of the language can match.
 */
export function isPointer(text: string): boolean {
  return pointerText.test(text)
}

/**
 * The value at a pointer, or undefined if there is none (JSON itself has no undefined). Only the document's own members count, so
 * `/constructor` or `/__proto__/x` finds only what the caller sent. Arrays answer only to an index without leading zeros, neither to `-`
 * nor to `length`. Never throws.
 */
export function lookup(document: unknown, pointer: string): unknown {
  if (!isPointer(pointer)) return undefined
  let value = document
  for (const part of pointer.slice(1).split('/')) {
    if (typeof value !== 'object' || value === null) return undefined
    // ~1 before ~0 (RFC 6901 §4): in the other order, `~01` would become `/`.
    const token = part.replaceAll('~1', '/').replaceAll('~0', '~')
    if (Array.isArray(value) && !indexText.test(token)) return undefined
    if (!Object.hasOwn(value, token)) return undefined
    value = (value as Record<string, unknown>)[token]
  }
  return value
}

/**
 * Whether every value in a document is at or below one of these pointers. An object or array is permitted if all its values are. An empty
 * one is itself a value, except for the document: one without members contains nothing. Never throws.
 */
export function isWithinNamed(document: unknown, pointers: readonly string[]): boolean {
  const named = new Set(pointers)
  // Only what a pointer leads through is examined, so that depth and size of a hostile document cost nothing.
  const leadThrough = new Set(pointers.flatMap(ancestorsOf))
  const isNamed = (value: unknown, pointer: string): boolean => {
    if (named.has(pointer)) return true
    if (typeof value !== 'object' || value === null) return false
    const members = Object.entries(value)
    if (members.length === 0) return pointer === '' && !Array.isArray(value)
    return leadThrough.has(pointer) && members.every(([name, member]) => isNamed(member, `${pointer}/${escaped(name)}`))
  }
  return isNamed(document, '')
}

function ancestorsOf(pointer: string): string[] {
  const tokens = pointer.split('/')
  return tokens.slice(0, -1).map((_, n) => tokens.slice(0, n + 1).join('/'))
}

function escaped(token: string): string {
  return token.replaceAll('~', '~0').replaceAll('/', '~1')
}
