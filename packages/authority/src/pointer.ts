const pointerText = /^(?:\/(?:[^~/]|~[01])*)+$/
const indexText = /^(?:0|[1-9][0-9]*)$/

/**
 * Whether a text is a JSON pointer (RFC 6901 §3) to something inside the document. The empty pointer, which names the
 * whole document, is not taken: arguments are an object, and no comparison of the language fits one.
 */
export function isPointer(text: string): boolean {
  return pointerText.test(text)
}

/**
 * What stands at a pointer, or undefined when nothing does (JSON itself has no undefined). Only the document's own members
 * count, so `/constructor` or `/__proto__/x` finds nothing that the caller did not send; arrays answer to an index
 * without leading zeros only, neither to `-` nor to `length`. Never throws.
 */
export function lookup(document: unknown, pointer: string): unknown {
  if (!isPointer(pointer)) return undefined
  let value = document
  for (const escaped of pointer.slice(1).split('/')) {
    if (typeof value !== 'object' || value === null) return undefined
    // ~1 before ~0 (RFC 6901 §4): the other way round `~01` would become `/`.
    const token = escaped.replaceAll('~1', '/').replaceAll('~0', '~')
    if (Array.isArray(value) && !indexText.test(token)) return undefined
    if (!Object.hasOwn(value, token)) return undefined
    value = (value as Record<string, unknown>)[token]
  }
  return value
}
