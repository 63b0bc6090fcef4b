import { fold } from '@bailiwick/kit'
import type { Refused } from '../upstream.ts'
import { namesMethod } from './method-names.ts'
import { refuse } from './refuse.ts'

/** Printable ASCII without `;`, which separates fields for some servers. Every other character must be escaped. */
const formCharacters = /^[\x21-\x3a\x3c-\x7e]*$/
const brokenEscape = /%(?![0-9A-F]{2})/i
/** Of control characters only tab and line ends: a text area sends these. */
const forbiddenEscape = /%(?:0[0-8BCEF]|1[0-9A-F]|7F)/i
/** PHP, Rails and others build lists and objects of `a[b]`, and take `a.b` for `a_b`. */
const plainName = /^[A-Za-z0-9_-]{1,100}$/
const mostFields = 256

/**
 * The fields of `application/x-www-form-urlencoded` by name, decoded (`+` is a space). Refuses a form that servers read differently: a name
 * that occurs twice, even in another case, a name that is not plain or names another method, and broken escapes.
 */
export function readForm(body: Uint8Array): { fields: Readonly<Record<string, string>> } | Refused {
  const text = Buffer.from(body.buffer, body.byteOffset, body.length).toString('latin1')
  if (!formCharacters.test(text) || brokenEscape.test(text) || forbiddenEscape.test(text))
    return refuse('form_malformed', 'a character or an escape')
  const fields = new Map<string, string>()
  const names = new Set<string>()
  const pieces = text.split('&', mostFields + 1)
  if (pieces.length > mostFields) return refuse('form_malformed', `more than ${mostFields} fields`)
  for (const piece of pieces) {
    const mark = piece.indexOf('=')
    const name = mark < 0 ? piece : piece.slice(0, mark)
    const value = decoded(mark < 0 ? '' : piece.slice(mark + 1))
    if (!plainName.test(name) || name === '__proto__' || namesMethod(name)) return refuse('form_malformed', 'a name')
    if (value === undefined) return refuse('form_malformed', 'an escape that is not UTF-8')
    if (names.has(fold(name))) return refuse('form_malformed', 'a name that occurs twice')
    names.add(fold(name))
    fields.set(name, value)
  }
  return { fields: Object.fromEntries(fields) }
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}
