const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Why a text is not strict JSON; the message names no content. */
export class JsonMalformed extends Error {
  readonly code = 'json_malformed'
}

/**
 * Parses JSON that every reader must understand alike: UTF-8 without BOM, no duplicate keys (compared unescaped), no
 * `__proto__` key, no lone surrogates, at most `maxDepth` levels. RFC 8259 leaves these to the parser, and an adversary
 * then shows one reader one thing and the next reader another. Throws `JsonMalformed`.
 */
export function parseStrictJson(input: Uint8Array | string, maxDepth = 32): unknown {
  let text: string
  let value: unknown
  try {
    text = typeof input === 'string' ? input : utf8.decode(input)
    value = JSON.parse(text)
  } catch {
    throw new JsonMalformed('not JSON in UTF-8')
  }
  scan(text, maxDepth)
  return value
}

/** Walks a text that JSON.parse took, so only what JSON.parse lets pass has to be looked for. */
function scan(text: string, maxDepth: number): void {
  const open: (Set<string> | undefined)[] = []
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at)
    if (char === 0x7b || char === 0x5b) {
      if (open.push(char === 0x7b ? new Set() : undefined) > maxDepth) throw new JsonMalformed('nested too deeply')
    } else if (char === 0x7d || char === 0x5d) {
      open.pop()
    } else if (char === 0x22) {
      const end = endOfString(text, at)
      const string = stringAt(text, at, end)
      at = end
      const keys = open.at(-1)
      if (keys !== undefined && isKey(text, end)) {
        if (string === '__proto__') throw new JsonMalformed('a key named __proto__')
        if (keys.has(string)) throw new JsonMalformed('a duplicate key')
        keys.add(string)
      }
    }
  }
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1; ; at++) {
    const char = text.charCodeAt(at)
    if (char === 0x5c) at++
    else if (char === 0x22) return at
  }
}

function stringAt(text: string, start: number, end: number): string {
  const raw = text.slice(start + 1, end)
  const string: string = raw.includes('\\') ? JSON.parse(`"${raw}"`) : raw
  if (!string.isWellFormed()) throw new JsonMalformed('a lone surrogate')
  return string
}

function isKey(text: string, endOfString: number): boolean {
  for (let at = endOfString + 1; at < text.length; at++) {
    const char = text.charCodeAt(at)
    if (char === 0x3a) return true
    if (char !== 0x20 && char !== 0x0a && char !== 0x0d && char !== 0x09) return false
  }
  return false
}
