import { outcomeResultsSchema } from '@bailiwick/contracts'
import type { PdpAnswer, PdpClient } from './pdp-client.ts'

/** What the PDP says of one outcome: the status that a request of its own has, and its problem document. */
export interface OutcomeAnswer {
  status: number
  body: unknown
}

/**
 * Delivers outcomes in one request, and gives what the PDP says of each, in their order; undefined where it says nothing of it: it is away,
 * has too much, or does not know who asks. A list that is refused whole is delivered one by one: the PDP may be of a version without lists,
 * and one outcome must not take the others along. Throws nothing.
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
  const isAnswered = answer && (isRefusal(answer.status) || (answer.status >= 200 && answer.status < 300))
  return isAnswered ? answer : undefined
}

/** Whether a status is about what was sent, and not about the PDP. */
export const isRefusal = (status: number): boolean => [400, 404, 409, 413, 415, 422].includes(status)

function ask(pdp: Pick<PdpClient, 'call'>, body: object): Promise<PdpAnswer | undefined> {
  return pdp.call('POST', '/v1/outcomes', body).catch(() => undefined)
}
