import { readStrictJsonText } from '@bailiwick/kit'
import { z } from 'zod'
import type { PlainRequest } from './authzen-policies.ts'

const properties = z.record(z.string(), z.unknown()).exactOptional()
const entitySchema = z.strictObject({ type: z.string(), id: z.string(), properties })

/** An AuthZEN evaluation: an unknown member is the author's mistake. */
export const requestSchema = z.strictObject({
  subject: entitySchema,
  action: z.strictObject({ name: z.string(), properties }),
  resource: entitySchema,
  context: properties,
})

const maxBytes = 1 << 20

/** Parses JSON as the plain decision point reads a body; undefined if it is not valid. */
export function readRequest(text: string): PlainRequest | undefined {
  const body = readStrictJsonText(text, { maxBytes, bigIntegers: true })
  return body.ok ? requestSchema.safeParse(body.value).data : undefined
}
