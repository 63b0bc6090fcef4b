import { isDenialReason, isReserved, mayHaveActed } from '@bailiwick/errors'
import { z } from 'zod'
import { problemOf } from './problem-body.ts'

/** Why an enforcement point refused a call, and in how many ms the same call may be made again. */
export interface Refused {
  code: string
  retryAfterMs: number
}

const problemSchema = z.object({
  code: z.string().max(100),
  retry_after: z.number().positive().max(3600).optional().catch(undefined),
})
const defaultSeconds = 1

/** An enforcement point's own refusals of a call that took effect earlier, or may have. */
const maybeMadeThere: ReadonlySet<string> = new Set(['permit_used', 'permit_invalid'])

/** The refusal in an enforcement point's answer; undefined if the answer is not a refusal. The response stays readable. */
export async function refusedOf(response: Response): Promise<Refused | undefined> {
  if (![401, 403, 409, 429, 503].includes(response.status)) return undefined
  if (!/^application\/(problem\+)?json\b/i.test(response.headers.get('content-type') ?? '')) return undefined
  const problem = await problemOf(response, problemSchema)
  if (problem === undefined) return undefined
  const { code, retry_after } = problem
  const header = Number(response.headers.get('retry-after'))
  const seconds = header > 0 && header <= 3600 ? header : (retry_after ?? defaultSeconds)
  return { code, retryAfterMs: seconds * 1000 }
}

/**
 * Decides what to do after an answer: in how many ms to make the same call again, and whether under a new id. `outcome_unknown`: an earlier
 * answer was lost, and the SDK can no longer learn whether the call took effect. undefined: the answer stands.
 */
export function nextCall(
  refused: Refused | undefined,
  { wasLost, isOurId }: { wasLost: boolean; isOurId: boolean },
): { afterMs: number; newId?: true } | 'outcome_unknown' | undefined {
  if (refused === undefined) return undefined
  const { code, retryAfterMs } = refused
  const denial = isDenialReason(code) ? code : undefined
  // Nothing was done, and the same call may succeed a moment later.
  if (denial !== undefined && isReserved(denial)) return { afterMs: retryAfterMs }
  // Nothing was done under the id, and nothing will be. Only the caller may replace an id that it chose itself.
  if (code === 'call_abandoned' && isOurId) return { afterMs: 0, newId: true }
  if (!wasLost) return undefined
  if (code === 'call_in_progress') return { afterMs: retryAfterMs }
  // The call whose answer was lost has been made, or may have been.
  const maybeMade = denial === undefined ? maybeMadeThere.has(code) : mayHaveActed(denial)
  return maybeMade ? 'outcome_unknown' : undefined
}
