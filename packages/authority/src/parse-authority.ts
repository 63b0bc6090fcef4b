import type { z } from 'zod'
import { type Authority, authoritySchema } from './schema.ts'

/**
 * `authority_not_understood`: it has a member or a type that this version does not know, and ignoring that could ignore a restriction.
 * `authority_malformed`: every other fault. `detail` names the place by JSON pointer and never repeats a value.
 */
export type ParsedAuthority =
  | { ok: true; authority: Authority }
  | { ok: false; code: 'authority_malformed' | 'authority_not_understood'; detail: string }

/** The nesting of objects and arrays: authority, permissions, permission, where, constraint, in. */
const maxDepth = 6
/** Keys and strings together. Request, statement and grant each carry the authority in an event of at most 65,535 bytes. */
const maxCharacters = 16_384
const maxValues = 4096
/** As JSON, including defaults: a credential contains all of it, and must fit in an HTTP header together with everything else. */
const maxBytes = 8192

/**
 * Parses an authority from JSON values. It never throws: every `input` gets an answer, at a cost that the bounds above limit. The JSON
 * parser must refuse duplicate keys, because they are no longer visible here.
 */
export function parseAuthority(input: unknown): ParsedAuthority {
  const oversize = measure(input)
  if (oversize !== undefined) return oversize
  const parsed = authoritySchema.safeParse(input)
  if (parsed.success) {
    const { length } = new TextEncoder().encode(JSON.stringify(parsed.data))
    if (length <= maxBytes) return { ok: true, authority: parsed.data }
    return { ok: false, code: 'authority_malformed', detail: `more than ${maxBytes} bytes of JSON` }
  }
  const issues = parsed.error.issues
  const unknown = issues.find((issue) => issue.code === 'unrecognized_keys')
  if (unknown !== undefined) return notUnderstood(unknown.path, 'unknown member')
  if (isUnknownType(input)) return notUnderstood(['type'], 'unknown type')
  return { ok: false, code: 'authority_malformed', detail: describeIssue(issues[0]) }
}

function notUnderstood(path: PropertyKey[], why: string): ParsedAuthority {
  return { ok: false, code: 'authority_not_understood', detail: `${pointerTo(path)}: ${why}` }
}

function isUnknownType(input: unknown): boolean {
  return typeof input === 'object' && input !== null && 'type' in input && typeof input.type === 'string'
    ? input.type !== 'bailiwick_task'
    : false
}

function describeIssue(issue: z.core.$ZodIssue | undefined): string {
  if (issue === undefined) return '/: not an authority'
  const words = issue.code === 'custom' || issue.code === 'invalid_format' ? issue.message : issue.code
  return `${pointerTo(issue.path)}: ${words}`
}

/** Shortened, because a hostile pointer in `where` is part of the path. */
function pointerTo(path: PropertyKey[]): string {
  const tokens = path.map((token) => String(token).replaceAll('~', '~0').replaceAll('/', '~1'))
  return `/${tokens.join('/')}`.slice(0, 100).toWellFormed()
}

/**
 * Checks the size before zod does: zod would build a whole tree before it refuses. Also refuses an own `__proto__`, because a zod record
 * drops it silently, together with its constraint.
 */
function measure(input: unknown): ParsedAuthority | undefined {
  const malformed = (detail: string) => ({ ok: false, code: 'authority_malformed', detail }) as const
  let values = 0
  let characters = 0
  const waiting: { value: unknown; depth: number }[] = [{ value: input, depth: 1 }]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { value, depth } = next
    if (typeof value === 'string') characters += value.length
    if (typeof value === 'object' && value !== null) {
      if (depth > maxDepth) return malformed('nested too deeply')
      const keys = Object.keys(value)
      values += keys.length
      if (values > maxValues) return malformed(`more than ${maxValues} values`)
      for (const key of keys) {
        if (key === '__proto__') return notUnderstood([], 'unknown member __proto__')
        if (!Array.isArray(value)) characters += key.length
        waiting.push({ value: (value as Record<string, unknown>)[key], depth: depth + 1 })
      }
    }
    if (characters > maxCharacters) return malformed(`more than ${maxCharacters} characters`)
  }
  return undefined
}
