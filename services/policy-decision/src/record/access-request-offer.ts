import { longestBindingSeconds, signBindingToken } from '@bailiwick/credentials'
import { isRequestable } from '@bailiwick/errors'
import { actingAgent } from '@bailiwick/projection'
import type { Denied } from '../answer.ts'
import type { EvaluationRequest } from '../http/evaluation-request.ts'
import type { Clocked, Signing, State } from '../ports.ts'

/** `context.access_request` of a requestable denial. */
export interface AccessRequestOffer {
  endpoint: string
  expires_at: string
  binding_token: string
}

/**
 * Where, until when and with which token the agent may answer a denial with a request (AuthZEN Access Request and Approval Profile,
 * Draft 1, "Requestable Denial Context"); undefined for a denial that a request cannot resolve. The token says what was denied, to
 * whom and, for a step-up, under which grant. Approval trusts the token by its signature alone and accepts it only from its subject.
 */
export function accessRequestOffer(
  {
    clock,
    trust,
    publicUrl,
    bindingKey,
  }: Pick<Clocked, 'clock'> & Pick<State, 'trust' | 'publicUrl'> & Pick<Signing, 'bindingKey'>,
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
      // For a step-up, the agent that holds the grant asks the humans again. For more authority, each agent asks for itself.
      ...(token === undefined ? {} : { sub: grant === undefined ? actingAgent(token) : token.sub }),
      ...(digest === undefined
        ? {}
        : { action: { name: action.name, resource, action_digest: digest, ...(named ? { arguments: named } : {}) } }),
      ...(grant === undefined ? {} : { grant }),
      ...(grant === undefined || needs === undefined ? {} : { needs }),
    },
    bindingKey,
  )
  // Must equal the token's own expiry: approval compares the two (profile, "Verifying the Denial Binding").
  const expires_at = new Date(exp * 1000).toISOString()
  return { endpoint: `${trust.public_url}/access/v1/requests`, expires_at, binding_token }
}

const bindingSeconds = Math.min(600, longestBindingSeconds)
