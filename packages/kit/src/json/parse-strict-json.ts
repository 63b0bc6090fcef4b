import { readStrictJson, readStrictJsonText } from './strict-json.ts'

/** Why a text is not strict JSON; the message contains none of the text. */
export class JsonMalformed extends Error {
  readonly code = 'json_malformed'
}

/**
 * `readStrictJson` for bytes or text whose length is bounded already, with numbers as JSON.parse reads them. Throws `JsonMalformed`.
 */
export function parseStrictJson(input: Uint8Array | string, maxDepth = 32): unknown {
  const options = { maxBytes: Number.POSITIVE_INFINITY, maxDepth, exactNumbers: false }
  const read = typeof input === 'string' ? readStrictJsonText(input, options) : readStrictJson(input, options)
  if (!read.ok) throw new JsonMalformed(read.detail)
  return read.value
}
