import { errorCode } from '@bailiwick/errors'
import { z } from 'zod'
import { claimedSubject, type Observed } from './decision.ts'
import type { PdpClient } from './pdp-client.ts'
import { denialReasonOf, type Refusal, refusal } from './refusal.ts'

/** An action whose price the enforcement point can still choose. */
export interface Planned extends Pick<Observed, 'credential' | 'proof' | 'htm' | 'htu' | 'manifest'> {
  action: { name: string; properties: Readonly<Record<string, unknown>>; resource: { type: string; id: string } }
}

/** What is left for an action. A moment later it may be less: only a decision reserves. */
export interface BudgetLeft {
  /** By currency, as decimal strings: the least that the grant and each link of the chain have left. */
  readonly cost: Readonly<Record<string, string>>
  /** Of each permission that covers the action: the arguments in which it reads a cost. `null`: under it the action costs nothing. */
  readonly priced: readonly ({ readonly amount: string; readonly currency: string } | null)[]
}

const answerSchema = z.object({
  context: z
    .object({
      reason: z.string().max(100).optional().catch(undefined),
      budget: z
        .object({
          cost: z.record(z.string(), z.string().regex(/^(0|[1-9]\d{0,20})(\.\d{1,6})?$/)),
          priced: z.array(z.object({ amount: z.string(), currency: z.string() }).nullable()),
        })
        .optional(),
    })
    .optional(),
})

/**
 * Asks the PDP what is left of the budget for an action, by a search (AuthZEN Authorization API 1.0 §8). It decides nothing, takes nothing,
 * and does not count the proof. A refusal: the action is not covered, or the PDP did not answer.
 */
export async function askBudget(pdp: PdpClient, { action, ...observed }: Planned): Promise<BudgetLeft | Refusal> {
  const { credential, proof, htm, htu, manifest } = observed
  const body = {
    subject: { type: 'agent', id: claimedSubject(credential) },
    action: { name: action.name, properties: action.properties },
    resource: action.resource,
    context: { bailiwick: { credential, proof, htm, htu, manifest, budget: true } },
  }
  try {
    const { status, body: said, retryAfterSeconds } = await pdp.callAgain('POST', '/access/v1/search/subject', body)
    const later = retryAfterSeconds === undefined ? {} : { retryAfterSeconds }
    if (status === 400) return refusal('request_invalid')
    if (status === 429) return refusal('queue_full', later)
    const read = status === 200 ? answerSchema.safeParse(said) : undefined
    if (!read?.success) return refusal('pdp_unavailable', later)
    const { budget, reason } = read.data.context ?? {}
    return budget ?? (reason === undefined ? refusal('pdp_unavailable') : refusal(denialReasonOf(reason)))
  } catch (error) {
    if (errorCode(error) === 'pdp_unavailable') return refusal('pdp_unavailable')
    throw error
  }
}
