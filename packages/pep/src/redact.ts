import { parseStrictJson } from '@bailiwick/contracts'

/** Replaces a value that may not leave. */
export const redacted = '[redacted]'

/**
 * Copies a JSON value and replaces the values of these fields (`answerFieldSchema`), wherever they appear: at any depth, in arrays, and in
 * JSON that is the text of a string. Throws if it cannot be certain that all are hidden: for a text that names a field and is not JSON, or
 * that two readers would read differently.
 */
export function redact(value: unknown, fields: readonly string[]): unknown {
  return shown(value, [], fields.map(namesOf))
}

function shown(value: unknown, place: readonly string[], fields: readonly string[][]): unknown {
  if (typeof value === 'string') return shownText(value, place, fields)
  if (typeof value !== 'object' || value === null) return value
  // An array is its elements: wrapping a field into an array hides nothing from us.
  if (Array.isArray(value)) return value.map((item) => shown(item, place, fields))
  const members = Object.entries(value).map(([name, member]): [string, unknown] => {
    const at = [...place, name]
    return [name, fields.some((field) => endsWith(at, field)) ? redacted : shown(member, at, fields)]
  })
  return Object.fromEntries(members)
}

/** Tools that speak MCP put their JSON into a text. */
function shownText(text: string, place: readonly string[], fields: readonly string[][]): string {
  const trimmed = text.trim()
  if (!/^["[{]/.test(trimmed)) return isSilent(text, fields)
  try {
    JSON.parse(trimmed)
  } catch {
    return isSilent(text, fields)
  }
  const value = parseStrictJson(trimmed)
  const copy = shown(value, place, fields)
  const [before, after] = [JSON.stringify(value), JSON.stringify(copy)]
  return before === after ? text : after
}

/** JSON lines, JSON in a fence, truncated JSON, Python's dict: such text cannot be read reliably, so it must not name a field. */
function isSilent(text: string, fields: readonly string[][]): string {
  const names = fields.map((field) => field.at(-1) ?? '')
  const quoted = names.flatMap((name) => [JSON.stringify(name).slice(0, -1), `"${name}`, `'${name}'`])
  const spelled = [text, text.replace(escaped, (_, hex?: string) => (hex ? fromHex(hex) : '/'))]
  if (quoted.some((name) => spelled.some((each) => each.includes(name))))
    throw new Error('a text names a field that must be hidden')
  return text
}

/**
 * Matches however often the text was quoted. Starts only at the first backslash of a run; otherwise a long run is scanned again from each
 * of its own.
 */
const escaped = /(?<!\\)\\+(?:u([0-9a-f]{4})|\/)/gi
const fromHex = (hex: string) => String.fromCharCode(Number.parseInt(hex, 16))

const endsWith = (place: readonly string[], field: readonly string[]) =>
  field.every((name, n) => place[place.length - field.length + n] === name)

const namesOf = (field: string) => field.split('/').map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'))
