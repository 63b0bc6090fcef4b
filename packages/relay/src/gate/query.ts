import { fold } from '@bailiwick/kit'
import type { Refused } from '../upstream.ts'
import { namesMethod } from './method-names.ts'
import { refuse } from './refuse.ts'
import { brokenEscape, needlessEscape, smallEscape, splitTarget } from './target.ts'

/**
 * RFC 3986 §3.4 without `;`, which separates parameters for some servers, and without `+`, which is a space for some and a plus for others.
 */
const queryCharacters = /^[\w.~!$&'()*,=:@%/?-]*$/
/** Control characters, except tab and line ends. */
const forbiddenEscape = /%(?:0[0-8BCEF]|1[0-9A-F]|7F)/i

/** PHP and others strip spaces, build lists of `a[b]`, and take `a.b` for `a_b`. OData begins names with `$`. */
const plainName = /^\$?[A-Za-z0-9._-]{1,100}$/

/**
 * The parameters of a request target by name, decoded. A parameter without `=` is ''. Refuses a query that servers read differently, and a
 * name that occurs twice, even in another case or with `.` for `_`.
 */
export function readQuery(target: string): { parameters: Readonly<Record<string, string>> } | Refused {
  const { query } = splitTarget(target)
  if (query === undefined || query === '') return { parameters: {} }
  if (!queryCharacters.test(query)) return refuse('query_not_canonical', 'a character')
  if ([brokenEscape, forbiddenEscape, smallEscape, needlessEscape].some((wrong) => wrong.test(query)))
    return refuse('query_not_canonical', 'an escape')
  const parameters = new Map<string, string>()
  const names = new Set<string>()
  for (const piece of query.split('&')) {
    const [name, value] = decoded(piece)
    if (name === undefined || value === undefined) return refuse('query_not_canonical', 'an escape that is not UTF-8')
    if (!plainName.test(name) || name === '__proto__' || namesMethod(name))
      return refuse('query_not_canonical', 'a name')
    const same = fold(name).replaceAll('.', '_')
    if (names.has(same)) return refuse('query_name_repeated', 'the query')
    names.add(same)
    parameters.set(name, value)
  }
  return { parameters: Object.fromEntries(parameters) }
}

function decoded(piece: string): [name?: string, value?: string] {
  const mark = piece.indexOf('=')
  const [name, value] = mark < 0 ? [piece, ''] : [piece.slice(0, mark), piece.slice(mark + 1)]
  try {
    return [decodeURIComponent(name), decodeURIComponent(value)]
  } catch {
    return []
  }
}
