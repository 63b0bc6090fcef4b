import { parseStrictJson } from '@bailiwick/contracts'
import type { z } from 'zod'

const longest = 65_536

/** Reads an answer's body with the schema if it is a problem document (RFC 9457); otherwise undefined. The response stays readable. */
export async function problemOf<S extends z.ZodType>(response: Response, schema: S): Promise<z.output<S> | undefined> {
  // Outside the try block: reading a body twice is the caller's mistake, and must be reported.
  const copy = response.clone()
  try {
    const bytes = await copy.bytes()
    return bytes.length > longest ? undefined : schema.safeParse(parseStrictJson(bytes)).data
  } catch {
    return undefined
  }
}
