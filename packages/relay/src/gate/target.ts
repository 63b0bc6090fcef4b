import type { Refused } from '../upstream.ts'
import { refuse } from './refuse.ts'

const longestTarget = 8192

/** RFC 3986 §3.3 without `;`, which some servers cut off as a parameter. Escapes are checked separately. */
const pathCharacters = /^[\w.~!$&'()*+,=:@%/-]*$/
/** Escaped separators, dots, ends of paths and control characters: a server that decodes before it routes would take another path. */
const forbiddenEscape = /%(?:2F|5C|2E|3B|3F|23|[01][0-9A-F]|7F)/i
/** `%252F`: a server that decodes twice would take another path. */
const doubleEscape = /%25[0-9A-F]{2}/i
export const brokenEscape = /%(?![0-9A-F]{2})/i
export const smallEscape = /%(?:[a-f][0-9A-Fa-f]|[0-9A-Fa-f][a-f])/
/** An escape of an unreserved character (RFC 3986 §2.3): letters, digits, `-`, `.`, `_`, `~`. */
export const needlessEscape = /%(?:2D|2E|3[0-9]|4[1-9A-F]|5[0-9A]|5F|6[1-9A-F]|7[0-9A]|7E)/i

/** The path of a target, and its query without the question mark; undefined if there is none. */
export function splitTarget(target: string): { path: string; query: string | undefined } {
  const mark = target.indexOf('?')
  return mark < 0 ? { path: target, query: undefined } : { path: target.slice(0, mark), query: target.slice(mark + 1) }
}

/**
 * Why the path of a request target can be read in several ways; undefined if it cannot. Nothing is normalised: a caller that means another
 * path must write that path.
 */
export function checkPath(target: string): Refused | undefined {
  if (target.length > longestTarget) return refuse('target_too_long', `more than ${longestTarget} characters`)
  if (!target.startsWith('/') || target.includes('#'))
    return refuse('target_form_forbidden', 'only origin form, without a fragment')
  const { path } = splitTarget(target)
  if (!pathCharacters.test(path)) return refuse('path_character_forbidden', 'the path')
  const segments = path.split('/').slice(1)
  if (segments.some((segment, n) => segment === '' && n < segments.length - 1))
    return refuse('path_segment_empty', 'the path')
  if (segments.some((segment) => segment === '.' || segment === '..')) return refuse('path_segment_dots', 'the path')
  return checkEscapes(path)
}

function checkEscapes(path: string): Refused | undefined {
  if (!path.includes('%')) return undefined
  if (brokenEscape.test(path) || forbiddenEscape.test(path) || doubleEscape.test(path))
    return refuse('path_escape_forbidden', 'the path')
  if (smallEscape.test(path)) return refuse('path_escape_case', 'the path')
  if (needlessEscape.test(path)) return refuse('path_escape_needless', 'the path')
  try {
    decodeURIComponent(path)
    return undefined
  } catch {
    return refuse('path_encoding_unknown', 'the path')
  }
}
