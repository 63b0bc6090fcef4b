import { elementSpans, keepElements, memberSpan } from './json-spans.ts'
import { isObject, type JsonObject } from './message.ts'
import { reservedPrefix, toolName } from './to-action.ts'

/** A list as one grant sees it. */
export interface Shown {
  /** The member of the result that holds the list. */
  readonly member: string
  readonly keep: (item: JsonObject) => boolean
}

/**
 * The text of a response, in which the list has only the items that may be shown. Everything else stays as the upstream wrote it, except
 * `cacheScope`: a list for one grant must not be cached for all (2026-07-28, caching).
 */
export function showList(text: string, value: JsonObject, { member, keep }: Shown): string {
  const items = isObject(value.result) ? value.result[member] : undefined
  const span = memberSpan(text, ['result', member])
  if (!Array.isArray(items) || span === undefined) return text
  const spans = elementSpans(text, span)
  const kept = spans.filter((_, n) => isObject(items[n]) && keep(items[n]))
  return asPrivate(keepElements(text, span, kept))
}

function asPrivate(text: string): string {
  const scope = memberSpan(text, ['result', 'cacheScope'])
  return scope === undefined ? text : `${text.slice(0, scope.start)}"private"${text.slice(scope.end)}`
}

/**
 * The names of tools that may be shown at all: of a form that nothing else has, none of the gateway's own, and none that differs from
 * another of the same server only in case.
 */
export function usableTools(names: readonly string[]): ReadonlySet<string> {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name.toLowerCase(), (counts.get(name.toLowerCase()) ?? 0) + 1)
  const usable = names.filter(
    (name) => toolName.test(name) && !isReserved(name) && counts.get(name.toLowerCase()) === 1,
  )
  return new Set(usable)
}

export const isReserved = (name: string): boolean => name.toLowerCase().startsWith(reservedPrefix)
