/**
 * A document that has these values at these JSON pointers (RFC 6901): the arguments of a call that an event states. Never throws: a
 * decision point that was taken over may name a place inside a text, or the prototype of every object.
 */
export function statedArguments(values: Readonly<Record<string, unknown>>): object {
  const root: Record<string, unknown> = Object.create(null)
  for (const [pointer, value] of Object.entries(values)) {
    const tokens = pointer.slice(1).split('/')
    const names = tokens.map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))
    let at = root
    for (const name of names.slice(0, -1)) {
      const inner = at[name]
      at = at[name] =
        typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>) : Object.create(null)
    }
    at[names.at(-1) ?? ''] = value
  }
  return root
}
