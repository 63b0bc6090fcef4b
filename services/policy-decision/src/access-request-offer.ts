import { longestBindingSeconds, signBindingToken } from '@bailiwick/credentials'
import { actingAgent } from '@bailiwick/projection'
import type { Pdp } from './context.ts'
import type { Denied } from './decide.ts'
import { isRequestable } from './denials.ts'
import type { EvaluationRequest } from './evaluation-request.ts'

/** `context.access_request` of a requestable denial. */
export interface AccessRequestOffer {
  endpoint: string
  expires_at: string
  binding_token: string
}

/**
 * Where, until when and by which token a denial may be answered by a request (AuthZEN Access Request and Approval Profile,
 * Draft 1, "Requestable Denial Context"); undefined for a denial that asking cannot help. The token says what was denied,
 * to whom, and, of a step-up, under which grant; approval believes it by its signature alone and keeps it to its subject.
 */
export function accessRequestOffer(
  { clock, trust, publicUrl, bindingKey }: Pick<Pdp, 'clock' | 'trust' | 'publicUrl' | 'bindingKey'>,
  request: EvaluationRequest,
  { decisionId, reason, token, grant, needs, arguments: named }: Denied,
): AccessRequestOffer | undefined {
  if (!isRequestable(reason)) return undefined
  const iat = Math.floor(clock.now() / 1000)
  const exp = iat + bindingSeconds
  const { action, resource, digest } = request
  const binding_token = signBindingToken(
    {
      iss: publicUrl,
      aud: trust.installation,
      jti: decisionId,
      iat,
      exp,
      reason,
      // The humans are asked once more by whoever they granted it to; for more than it has, each agent asks itself.
      ...(token === undefined ? {} : { sub: grant === undefined ? actingAgent(token) : token.sub }),
      ...(digest === undefined
        ? {}
        : { action: { name: action.name, resource, action_digest: digest, ...(named ? { arguments: named } : {}) } }),
      ...(grant === undefined ? {} : { grant }),
      ...(grant === undefined || needs === undefined ? {} : { needs }),
    },
    bindingKey,
  )
  // The token's own expiry and no other: approval compares the two (profile, "Verifying the Denial Binding").
  const expires_at = new Date(exp * 1000).toISOString()
  return { endpoint: `${trust.public_url}/access/v1/requests`, expires_at, binding_token }
}

const bindingSeconds = Math.min(600, longestBindingSeconds)
