import { z } from 'zod'
import { decisionIdSchema } from '../primitives.ts'

/** The most calls of one request, the most bytes of its body, and how long the answer may be held back, in ms. */
export const mostOpenCalls = 10_000
export const openCallsBytes = 524_288
export const longestOpenCallsWaitMs = 1000

/**
 * The body of `POST /v1/open-calls`: the ALLOWs under which an enforcement point still answers, and how long it may be kept waiting while
 * all of them stand.
 */
export const openCallsBodySchema = z.strictObject({
  decisions: z.array(decisionIdSchema).max(mostOpenCalls),
  wait_ms: z.int().min(0).max(longestOpenCallsWaitMs),
})

/**
 * The calls that must end, each with the reason that a new call would be denied with. A decision point that does not know a call yet, or
 * whose call it is not, names it as `unknown`: that does not mean that the call stands. All other calls stood when the answer was made.
 */
export const openCallsAnswerSchema = z.object({
  over: z.array(z.object({ decision_id: decisionIdSchema, reason: z.string().max(100) })),
  unknown: z.array(decisionIdSchema),
})
export type OpenCallsAnswer = z.infer<typeof openCallsAnswerSchema>

/** How long a call may take beyond the usual time for an outcome, in seconds: no grant lives longer. */
export const longestAnswerSeconds = 8 * 3600
