import { outcomeResultsSchema } from '@bailiwick/contracts'
import { errorCode } from '@bailiwick/errors'
import type { PdpAnswer, PdpClient } from './pdp-client.ts'

/** The PDP's answer to one outcome: the status that a separate request would have had, and its problem document. */
export interface OutcomeAnswer {
  status: number
  body: unknown
}

/**
 * Delivers outcomes in one request and returns the PDP's answer to each, in order. An answer is undefined if the PDP gave none, because it
 * is away, overloaded, or does not know the caller. If the whole list is refused, the outcomes are delivered one by one: the PDP's version
 * may not support lists, and one outcome must not hold up the others. Never throws.
 */
export async function deliverOutcomes(
  pdp: Pick<PdpClient, 'call'>,
  outcomes: readonly string[],
): Promise<readonly (OutcomeAnswer | undefined)[]> {
  const [first] = outcomes
  if (outcomes.length === 1 && first !== undefined) return [await deliverOne(pdp, first)]
  const answer = await ask(pdp, { outcomes })
  const results = answer?.status === 200 ? outcomeResultsSchema.safeParse(answer.body).data?.results : undefined
  if (results?.length === outcomes.length) return results.map((result) => ({ status: result.status, body: result }))
  if (answer === undefined || !isRefusal(answer.status)) return outcomes.map(() => undefined)
  const each: (OutcomeAnswer | undefined)[] = []
  for (const outcome of outcomes) each.push(await deliverOne(pdp, outcome))
  return each
}

async function deliverOne(pdp: Pick<PdpClient, 'call'>, outcome: string): Promise<OutcomeAnswer | undefined> {
  const answer = await ask(pdp, { outcome })
  const isAnswered =
    answer && (isRefusal(answer.status) || isUnverified(answer) || (answer.status >= 200 && answer.status < 300))
  return isAnswered ? answer : undefined
}

/** Whether the PDP knows the caller but could not verify the outcome. */
function isUnverified({ status, body }: PdpAnswer): boolean {
  return status === 401 && !['caller_unauthenticated', 'internal'].includes(errorCode(body))
}

/** Whether the refusal is about the request, and not about the PDP. */
export const isRefusal = (status: number): boolean => [400, 404, 409, 413, 415, 422].includes(status)

function ask(pdp: Pick<PdpClient, 'call'>, body: object): Promise<PdpAnswer | undefined> {
  return pdp.call('POST', '/v1/outcomes', body).catch(() => undefined)
}
