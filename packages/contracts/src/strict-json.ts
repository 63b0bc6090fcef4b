import { endOfString, parseJson } from './parse-json.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Why a text is not strict JSON; the message contains none of the text. */
export class JsonMalformed extends Error {
  readonly code = 'json_malformed'
}

/**
 * Parses JSON that every reader must understand alike: UTF-8 without BOM, no duplicate keys (compared unescaped), no `__proto__` key, no
 * lone surrogates, at most `maxDepth` levels. RFC 8259 leaves these to the parser, so an adversary could show two readers two different
 * things. Throws `JsonMalformed`.
 */
export function parseStrictJson(input: Uint8Array | string, maxDepth = 32): unknown {
  let text: string
  let value: unknown
  try {
    text = typeof input === 'string' ? input : utf8.decode(input)
    value = parseJson(text)
  } catch {
    throw new JsonMalformed('not JSON in UTF-8')
  }
  // In UTF-8 only an escape can spell half of a pair.
  const mayBeHalved = typeof input === 'string' || text.includes('\\u')
  // JSON.parse keeps one of several equal keys: then fewer members are in the value than in the text.
  if (membersOf(value, maxDepth, mayBeHalved) !== keysIn(text)) throw new JsonMalformed('a duplicate key')
  return value
}

/** The number of members at all depths; also checks the parts of the value that the parser does not check. */
function membersOf(value: unknown, depthLeft: number, mayBeHalved: boolean): number {
  if (typeof value === 'string') {
    if (mayBeHalved && !value.isWellFormed()) throw new JsonMalformed('a lone surrogate')
    return 0
  }
  if (typeof value !== 'object' || value === null) return 0
  if (depthLeft === 0) throw new JsonMalformed('nested too deeply')
  let sum = 0
  if (Array.isArray(value)) {
    for (const item of value) sum += membersOf(item, depthLeft - 1, mayBeHalved)
    return sum
  }
  const object = value as Record<string, unknown>
  for (const key of Object.keys(object)) {
    if (key === '__proto__') throw new JsonMalformed('a key named __proto__')
    if (mayBeHalved && !key.isWellFormed()) throw new JsonMalformed('a lone surrogate')
    sum += 1 + membersOf(object[key], depthLeft - 1, mayBeHalved)
  }
  return sum
}

/** The colons outside strings in a text that JSON.parse accepts: each follows a key. */
function keysIn(text: string): number {
  let keys = 0
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at)
    if (char === 0x22) at = endOfString(text, at)
    else if (char === 0x3a) keys++
  }
  return keys
}
