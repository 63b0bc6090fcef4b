import type { Agent } from '@bailiwick/contracts'
import { thumbprint, verifyDpopProof } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { RequestRecord } from '@bailiwick/projection'
import type { Approval } from './context.ts'
import { type AccessAsk, agentIdOf } from './requests.ts'
import type { Transient } from './transient.ts'

export interface AgentCall {
  /** The DPoP header; undefined unless there is exactly one. */
  proof: string | undefined
  method: 'GET' | 'POST'
  /** Below the public address. */
  path: string
  requestId: string
}

export const proofMaxAgeMs = 60_000
export const proofLeewayMs = 5000

/**
 * The request that this caller may see: its own agent's. It proves an instance key by a DPoP proof of this very call, once
 * (RFC 9449 §4.3). Throws `caller_unauthenticated` without such a proof; to everybody else's key the request does not exist.
 */
export function callersRequest(
  approval: Approval,
  proofs: Transient<true>,
  { proof, method, path, requestId }: AgentCall,
): { record: RequestRecord; ask: AccessAsk; caller: string } {
  const { projection, clock, publicUrl } = approval
  if (proof === undefined) throw new ServiceError('caller_unauthenticated', 'a DPoP proof is missing')
  const verified = verifyDpopProof({
    proof,
    htm: method,
    htu: `${publicUrl}${path}`,
    maxAgeMs: proofMaxAgeMs,
    leewayMs: proofLeewayMs,
    now: clock.now(),
  })
  if (!verified.ok) throw new ServiceError('caller_unauthenticated', verified.detail)
  const { jkt, jti } = verified.value
  const { requests, registry } = projection.ledger
  const record = requests.requests.get(requestId) ?? requests.ofTask(requestId)[0]
  const ask = record?.received
  if (!record || ask?.kind !== 'access') throw new ServiceError('access_request_unknown')
  // Any instance of the agent, so that a handle outlives a restart; by the keys of now, so that a retired key sees nothing.
  const agent = registry.get('agent', agentIdOf(ask.agent))
  const caller = agent && instanceWith(approval, agent, ask, jkt)
  if (caller === undefined) throw new ServiceError('access_request_unknown')
  // Only now: proofs by keys that nobody registered must not crowd out those that count.
  if (proofs.get(`${jkt} ${jti}`)) throw new ServiceError('token_replayed', 'the DPoP proof was used before')
  proofs.put(`${jkt} ${jti}`, true)
  return { record, ask, caller }
}

/** The instance of the agent that has this key: registered, or attested with an ask of this agent. */
function instanceWith({ projection }: Approval, agent: Agent, ask: AccessAsk, jkt: string): string | undefined {
  const { id, attestor } = agent
  if (attestor.kind === 'registered_key') {
    const key = attestor.keys.find(({ jwk }) => thumbprint(jwk) === jkt)
    return key && `${id}/${key.instance}`
  }
  const isBound = ({ agent: instance, attestation, instance_key }: AccessAsk) =>
    agentIdOf(instance) === id && attestation?.kind === attestor.kind && instance_key === jkt
  if (isBound(ask)) return ask.agent
  for (const { received } of projection.ledger.requests.requests.values())
    if (received?.kind === 'access' && isBound(received)) return received.agent
  return undefined
}
