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
const bracketedName = /^[A-Za-z0-9_-]{1,100}(?:\[[A-Za-z0-9_-]{0,100}\]){1,4}$/
const none: ReadonlySet<string> = new Set()
const mostFields = 256

/**
 * The fields of `application/x-www-form-urlencoded` by name, decoded (`+` is a space). Refuses a form that servers read differently: a name
 * that occurs twice, even in another case, a name that is not plain or names another method, and broken escapes. `named`: names with brackets
 * that an operation takes. No two of them may lead to one value (`sharesValue`).
 */
export function readForm(
  body: Uint8Array,
  named: ReadonlySet<string> = none,
): { fields: Readonly<Record<string, string>> } | Refused {
  const text = Buffer.from(body.buffer, body.byteOffset, body.length).toString('latin1')
  if (!formCharacters.test(text) || brokenEscape.test(text) || forbiddenEscape.test(text))
    return refuse('form_malformed', 'a character or an escape')
  const fields = new Map<string, string>()
  const names = new Set<string>()
  const pieces = text.split('&', mostFields + 1)
  if (pieces.length > mostFields) return refuse('form_malformed', `more than ${mostFields} fields`)
  for (const piece of pieces) {
    const mark = piece.indexOf('=')
    const name = nameOf(mark < 0 ? piece : piece.slice(0, mark))
    const value = decoded(mark < 0 ? '' : piece.slice(mark + 1))
    const isKnown = plainName.test(name) || (bracketedName.test(name) && named.has(name))
    if (!isKnown || name === '__proto__' || namesMethod(name)) return refuse('form_malformed', 'a name')
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

/** Browsers escape brackets. */
const nameOf = (text: string): string => text.replaceAll(/%5B/gi, '[').replaceAll(/%5D/gi, ']')

/** Whether two names of a form lead to one value for some server: `a` and `a[b]`, `a[]` and `a[b]`, `a[b]` and `A[b]`. */
export function sharesValue(a: string, b: string): boolean {
  const [one, other] = [a, b].map((name) => fold(name).replaceAll(/[. ]/g, '_')) as [string, string]
  const isList = (name: string, of: string) =>
    name.includes('[]') && of.startsWith(name.slice(0, name.indexOf('[]') + 1))
  return (
    one === other ||
    one.startsWith(`${other}[`) ||
    other.startsWith(`${one}[`) ||
    isList(one, other) ||
    isList(other, one)
  )
}
