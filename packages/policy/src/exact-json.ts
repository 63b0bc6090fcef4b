import { parseJson, readStrictJsonText } from '@bailiwick/kit'

const maxBytes = 64 * 1024 * 1024
const maxDepth = 128

declare const digits: unique symbol
/** A JSON number that keeps its digits until JSON.stringify writes them. */
export interface ExactInteger {
  [digits]: true
}

/** ECMAScript's "JSON.parse source text access", which TypeScript's library does not know yet. */
interface SourceTextJson {
  rawJSON(text: string): ExactInteger
  isRawJSON(value: unknown): value is ExactInteger
}
const json = JSON as unknown as SourceTextJson

export const exactInteger = (value: bigint): ExactInteger => json.rawJSON(String(value))
export const isExactInteger = (value: unknown): value is ExactInteger => json.isRawJSON(value)

/**
 * Parses JSON strictly; undefined if it is not JSON. A number that JavaScript would write differently keeps its text, so that
 * JSON.stringify passes it to Cedar digit for digit: a Long has 64 bits, a double 53.
 */
export function parseExactJson(text: string): unknown {
  if (!readStrictJsonText(text, { maxBytes, maxDepth, exactNumbers: false }).ok) return undefined
  return parseJson(text, (_, value, { source }) =>
    typeof value === 'number' && source !== undefined && String(value) !== source ? json.rawJSON(source) : value,
  )
}
