import type { ErrorCode, Refused } from '@bailiwick/errors'
import { fold } from './fold.ts'
import { readStrictJson } from './strict-json.ts'

/**
 * The one reading of JSON bytes that are passed on as they are. In addition to the strict parser (no equal keys, no lone surrogates, no
 * `__proto__`, no number that is rounded, bounded depth) it refuses keys of one object that differ only in case or in the form of their
 * characters, and `-0`, which has no canonical form of its own.
 */
export function readJsonView(bytes: Uint8Array): { value: unknown } | Refused {
  const json = readStrictJson(bytes, { maxBytes: bytes.length })
  if (!json.ok) return refuse(json.code, json.detail)
  return check(json.value) ?? { value: json.value }
}

function check(value: unknown): Refused | undefined {
  if (typeof value === 'number') return Object.is(value, -0) ? refuse('json_malformed', 'the number -0') : undefined
  if (typeof value !== 'object' || value === null) return undefined
  const keys = Array.isArray(value) ? [] : Object.keys(value)
  if (keys.length > 1 && new Set(keys.map(fold)).size < keys.length) return refuse('json_keys_alike', 'two keys')
  for (const member of Object.values(value)) {
    const refused = check(member)
    if (refused) return refused
  }
  return undefined
}

const refuse = (refused: ErrorCode, detail: string): Refused => ({ refused, detail })
