import { z } from 'zod'
import type { PlainRequest } from './authzen-policies.ts'
import { parseExactJson } from './exact-json.ts'

const properties = z.record(z.string(), z.unknown()).exactOptional()
const entitySchema = z.strictObject({ type: z.string(), id: z.string(), properties })

/** An AuthZEN evaluation: an unknown member is a mistake of whoever wrote it. */
export const requestSchema = z.strictObject({
  subject: entitySchema,
  action: z.strictObject({ name: z.string(), properties }),
  resource: entitySchema,
  context: properties,
})

/** From JSON; undefined when it is none. */
export function readRequest(text: string): PlainRequest | undefined {
  return requestSchema.safeParse(parseExactJson(text)).data
}
