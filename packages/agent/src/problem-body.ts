import { parseStrictJson } from '@bailiwick/contracts'
import type { z } from 'zod'

const longest = 65_536

/** What the schema reads of an answer's body, a problem document (RFC 9457); undefined when it is none. The response stays readable. */
export async function problemOf<S extends z.ZodType>(response: Response, schema: S): Promise<z.output<S> | undefined> {
  // Outside: a body that was read already is the caller's mistake, and is told.
  const copy = response.clone()
  try {
    const bytes = await copy.bytes()
    return bytes.length > longest ? undefined : schema.safeParse(parseStrictJson(bytes)).data
  } catch {
    return undefined
  }
}
