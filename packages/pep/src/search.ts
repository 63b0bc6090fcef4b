import { errorCode } from '@bailiwick/errors'
import { z } from 'zod'
import { claimedSubject, type Observed } from './decision.ts'
import type { PdpClient } from './pdp-client.ts'
import { denialReasonOf, type Refusal, refusal } from './refusal.ts'

/** What a caller could do, asked before it does anything. */
export interface Search extends Omit<Observed, 'mostBytes'> {
  /** With the arguments that the caller signed, if its proof is over an action. What is found does not depend on them. */
  action: { name: string; properties?: Readonly<Record<string, unknown>> | undefined }
  /** What is looked for: the resources of a type, those of them whose ids begin with `prefix`, or whether the caller could act on this one. */
  resource: { type: string; id?: string; prefix?: string }
}

/** The ids of what could be permitted, for some arguments. With a `reason` nothing could, and that is why. */
export interface Found {
  readonly found: readonly string[]
  readonly reason?: Refusal['reason']
}

const foundSchema = z.object({
  results: z.array(z.object({ id: z.string() })),
  context: z.object({ reason: z.string().max(100).optional().catch(undefined) }).optional(),
})

/**
 * Asks the PDP what could be permitted (AuthZEN Authorization API 1.0 §8). It decides nothing and leaves no evidence, and the proof is
 * verified but not counted. A refusal says that the PDP did not answer.
 */
export async function searchPdp(
  pdp: PdpClient,
  { action, resource: { prefix, ...resource }, ...observed }: Search,
): Promise<Found | Refusal> {
  const { credential, proof, htm, htu, manifest } = observed
  const context = { bailiwick: { credential, proof, htm, htu, manifest, any_arguments: true, resource_prefix: prefix } }
  const subject = { type: 'agent', id: claimedSubject(credential) }
  const body = { subject, action, resource, context }
  try {
    const path = resource.id === undefined ? 'resource' : 'subject'
    const answer = await pdp.callAgain('POST', `/access/v1/search/${path}`, body)
    const later = answer.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: answer.retryAfterSeconds }
    if (answer.status === 400) return refusal('request_invalid')
    if (answer.status === 429) return refusal('queue_full', later)
    const read = answer.status === 200 ? foundSchema.safeParse(answer.body) : undefined
    if (!read?.success) return refusal('pdp_unavailable', later)
    const { results, context: said } = read.data
    const reason = said?.reason === undefined ? {} : { reason: denialReasonOf(said.reason) }
    return { found: results.map(({ id }) => id), ...reason }
  } catch (error) {
    if (errorCode(error) === 'pdp_unavailable') return refusal('pdp_unavailable')
    throw error
  }
}
