import { ServiceError } from '@bailiwick/errors'
import type { z } from 'zod'

/**
 * Checks that an answer of a running service has the form that this command understands; unknown members are dropped. Throws
 * `answer_malformed` if it has another form: then command and service have different versions.
 */
export function expectAnswer<S extends z.ZodType>(schema: S, answer: unknown): z.output<S> {
  const read = schema.safeParse(answer)
  if (read.success) return read.data
  const place = read.error.issues[0]?.path.join('.') || 'the answer'
  throw new ServiceError('answer_malformed', `not understood: ${place}`)
}
