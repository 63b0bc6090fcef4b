import { z } from 'zod'
import { compactJwsSchema } from '../primitives.ts'

/** The most outcomes of one request, and the most bytes of its body. */
export const mostOutcomes = 128
export const outcomesBytes = 262_144

/**
 * The body of `POST /v1/outcomes` and `POST /log/outcomes`: one outcome, or several in the order in which they were signed. An item of the
 * list that is not a compact JWS is refused alone.
 */
export const outcomeBodySchema = z.strictObject({ outcome: compactJwsSchema })
export const outcomesBodySchema = z.strictObject({
  outcomes: z.array(z.unknown().describe('compact JWS')).min(1).max(mostOutcomes),
})

/**
 * The result for one item of a list: the status that a separate request would have had, and for a refusal the problem (RFC 9457). 204: the
 * outcome is recorded and counts.
 */
export const outcomeResultSchema = z.object({
  status: z.int().min(100).max(599),
  type: z.exactOptional(z.string()),
  title: z.exactOptional(z.string()),
  code: z.exactOptional(z.string()),
  retryable: z.exactOptional(z.boolean()),
  detail: z.exactOptional(z.string()),
})
export type OutcomeResult = z.infer<typeof outcomeResultSchema>

/** The answer to a list, 200: one result for each item, in the order of the list. */
export const outcomeResultsSchema = z.object({ results: z.array(outcomeResultSchema) })
