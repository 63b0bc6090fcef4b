import type { z } from 'zod'

/** One fault of a file: where it is, and what is expected there. */
export interface Fault {
  path: PropertyKey[]
  said: string
}

/**
 * The faults of `content`, one per position. If several forms are possible at a position, the nearest one is reported. Values are quoted if
 * they are short and not part of a key.
 */
export function schemaFaults(issues: readonly z.core.$ZodIssue[], content: unknown): Fault[] {
  const seen = new Set<string>()
  return issues
    .flatMap((issue) => resolved(issue, []))
    .flatMap(({ issue, path }) => faultsOf(issue, path, content))
    .filter(({ path, said }) => {
      const place = `${path.join('\0')}${said.startsWith('unknown') ? said : ''}`
      return !seen.has(place) && seen.add(place)
    })
}

interface Placed {
  issue: z.core.$ZodIssue
  path: PropertyKey[]
}

/** The issues of a union's nearest form replace the union's. */
function resolved(issue: z.core.$ZodIssue, above: readonly PropertyKey[]): Placed[] {
  const path = [...above, ...issue.path]
  if (issue.code !== 'invalid_union') return [{ issue, path }]
  const [first, ...others] = issue.errors
  if (first === undefined) return [{ issue, path }]
  const nearest = others.reduce((a, b) => (b.length < a.length ? b : a), first)
  return nearest.flatMap((each) => resolved(each, path))
}

function faultsOf(issue: z.core.$ZodIssue, path: PropertyKey[], content: unknown): Fault[] {
  const value = valueAt(content, path)
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({ path, said: `unknown member ${JSON.stringify(key)}` }))
    case 'invalid_type': {
      const wanted = types[issue.expected] ?? issue.expected
      return [
        {
          path,
          said: value === undefined ? `missing: expected ${wanted}` : `expected ${wanted}, not ${kindOf(value)}`,
        },
      ]
    }
    case 'invalid_value': {
      const values = issue.values.map((each) => JSON.stringify(each))
      return [
        { path, said: `expected ${values.length > 1 ? `one of ${values.join(', ')}` : values}${shown(value, path)}` },
      ]
    }
    case 'too_small':
      return [{ path, said: `expected at least ${amount(issue.minimum, issue.origin)}${shown(value, path)}` }]
    case 'too_big':
      return [{ path, said: `expected at most ${amount(issue.maximum, issue.origin)}${shown(value, path)}` }]
    case 'invalid_key':
      return [{ path, said: issue.issues[0]?.message ?? issue.message }]
    case 'invalid_union':
      return [{ path, said: formOf(issue.message, value, path) }]
    default:
      return [{ path, said: `${formats[issue.message] ?? issue.message}${shown(value, path)}` }]
  }
}

/** For a union that is distinguished by one member: the values that this member may have. */
function formOf(message: string, value: unknown, path: readonly PropertyKey[]): string {
  const [, forms] = /^Invalid discriminator value\. Expected (.*)$/.exec(message) ?? []
  if (forms === undefined) return `${message}${shown(value, path)}`
  const expected = `expected one of ${forms.replaceAll("'", '"').split(' | ').join(', ')}`
  return value === undefined ? `missing: ${expected}` : `${expected}${shown(value, path)}`
}

const types: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'members',
  record: 'members',
}

/** Messages for the formats of contracts, worded for the author of a file. */
const formats: Readonly<Record<string, string>> = {
  'not a SPIFFE ID': 'expected a SPIFFE ID, such as spiffe://bailiwick.local/agent/reconciler',
  'not a registry name': 'expected a name without white space: letters, digits and . _ : / @ -',
  'not a label': 'expected a label: lower case letters, digits and _, a letter first',
  'not a base64url SHA-256': 'expected a SHA-256 in base64url: 43 characters without padding',
  'not one line of text': 'expected one line of text',
  'not base64url': 'expected base64url without padding',
  'Invalid URL': 'expected a URL, such as https://erp.example/',
}

const units: Readonly<Record<string, string>> = { string: 'character', array: 'item', record: 'member' }

function amount(n: number | bigint, origin: string): string {
  const unit = units[origin]
  return unit === undefined ? String(n) : `${n} ${unit}${n === 1 ? '' : 's'}`
}

function kindOf(value: unknown): string {
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'number' && !Number.isInteger(value)) return 'a fraction'
  return types[typeof value] ?? typeof value
}

/** A key pasted into the wrong place may be a private one (V17). */
function shown(value: unknown, path: readonly PropertyKey[]): string {
  if (path.some((name) => /jwk|key/i.test(String(name)))) return ''
  const text = typeof value === 'string' || typeof value === 'number' ? JSON.stringify(value) : ''
  return text === '' || text.length > 80 ? '' : ` (is ${text})`
}

function valueAt(content: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (at, name) =>
      typeof at === 'object' && at !== null && Object.hasOwn(at, name) ? at[name as keyof typeof at] : undefined,
    content,
  )
}
