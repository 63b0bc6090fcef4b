/** The pieces of a pattern between its `*`s, in order. */
export type Pieces = readonly string[]

/**
 * Cedar's `like`. Each piece is taken at the first place where it fits, which is right if `*` is the only wildcard, and never tries a
 * second place: the time does not grow with the number of `*`s.
 */
export function isLike(text: string, pieces: Pieces): boolean {
  const [first = '', ...rest] = pieces
  const last = rest.pop()
  if (last === undefined) return text === first
  if (!text.startsWith(first)) return false
  let at = first.length
  for (const piece of rest) {
    const found = text.indexOf(piece, at)
    if (found < 0) return false
    at = found + piece.length
  }
  return text.length - last.length >= at && text.endsWith(last)
}
