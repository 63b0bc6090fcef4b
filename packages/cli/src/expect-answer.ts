import { ServiceError } from '@bailiwick/errors'
import type { z } from 'zod'

/**
 * An answer of what runs, in the form that this command understands; members that it does not know are dropped. Throws
 * `answer_malformed` when it is another: the command and the service are then of different versions.
 */
export function expectAnswer<S extends z.ZodType>(schema: S, answer: unknown): z.output<S> {
  const read = schema.safeParse(answer)
  if (read.success) return read.data
  const place = read.error.issues[0]?.path.join('.') || 'the answer'
  throw new ServiceError('answer_malformed', `not understood: ${place}`)
}
