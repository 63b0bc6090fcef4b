import { compactJwsSchema } from '@bailiwick/contracts'
import { z } from 'zod'
import { problemOf } from './problem-body.ts'

/** A denial that a request may answer: the denied action, and the decision point's signed token. We do not read the token. */
export interface Denial {
  action: string
  resource: { type: string; id: string }
  bindingToken: string
  /** RFC 3339: the time until which it may be answered. */
  expiresAt: string
  decisionId?: string
  reason?: string
}

const problemSchema = z.object({
  code: z.string().max(100).optional().catch(undefined),
  decision_id: z.string().max(100).optional().catch(undefined),
  access_request: z.object({ expires_at: z.string().max(40), binding_token: compactJwsSchema }),
})

/**
 * Extracts the requestable denial from an enforcement point's answer to this call; undefined if it is not a denial, or if a request could
 * not help. The response stays readable. Where to ask is taken from the installation's configuration, never from a response.
 */
export async function denialOf(
  response: Response,
  call: { action: string; resource: { type: string; id: string } },
): Promise<Denial | undefined> {
  if (response.status !== 401 && response.status !== 403) return undefined
  const problem = await problemOf(response, problemSchema)
  if (problem === undefined) return undefined
  const { code, decision_id, access_request } = problem
  const { type, id } = call.resource
  return {
    action: call.action,
    resource: { type, id },
    bindingToken: access_request.binding_token,
    expiresAt: access_request.expires_at,
    ...(decision_id === undefined ? {} : { decisionId: decision_id }),
    ...(code === undefined ? {} : { reason: code }),
  }
}
