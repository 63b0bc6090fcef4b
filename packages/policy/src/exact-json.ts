import { parseStrictJsonText } from '@bailiwick/service-kit'

const maxBytes = 64 * 1024 * 1024

/** ECMAScript's "JSON.parse source text access", which TypeScript's library does not know yet. */
interface SourceTextJson {
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown
  rawJSON(text: string): object
}
const json = JSON as unknown as SourceTextJson

/**
 * Reads JSON strictly; undefined when it is none. A number that JavaScript would write otherwise stands as `JSON.rawJSON`, so
 * that JSON.stringify gives it to Cedar digit for digit: a Long has 64 bits, a double 53.
 */
export function parseExactJson(text: string): unknown {
  if (!parseStrictJsonText(text, { maxBytes, exactNumbers: false }).ok) return undefined
  return json.parse(text, (_, value, { source }) =>
    typeof value === 'number' && source !== undefined && String(value) !== source ? json.rawJSON(source) : value,
  )
}
