import { type Agent, type Attestation, agentIdOf } from '@bailiwick/contracts'
import { type DpopProof, jcsHash, thumbprint, verifyDpopProof } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { RequestRecord } from '@bailiwick/projection'
import type { Approval } from '../context.ts'
import { type AgentProofs, proofLeewayMs, proofMaxAgeMs } from './agent-proofs.ts'

export interface AgentCall {
  /** The DPoP header; undefined unless there is exactly one. */
  proof: string | undefined
  method: 'GET' | 'POST'
  /** Relative to the public address, without the query. */
  path: string
}

/**
 * The parts of a task that this caller may see, which are those of its own agent. The caller proves an instance key with a DPoP proof of
 * this very call, which counts once (RFC 9449 §4.3). Throws `caller_unauthenticated` without such a proof. For any other agent's key the
 * task does not exist.
 */
export function callersTask(
  approval: Approval,
  proofs: AgentProofs,
  call: AgentCall & { taskId: string },
): { parts: readonly [RequestRecord, ...RequestRecord[]]; caller: string } {
  const proof = provenCall(approval, call)
  const [first, ...others] = approval.projection.ledger.requests.ofTask(approval.folded.get(call.taskId) ?? call.taskId)
  if (first?.received === undefined || first.received.kind === 'registry')
    throw new ServiceError('access_request_unknown')
  // Any instance of the agent, so that a handle outlives a restart. Only keys that are valid now count, so that a retired key sees nothing.
  const caller = callerOf(approval, proofs, proof, agentIdOf(first.received.agent))
  return { parts: [first, ...others], caller }
}

/** The caller as an instance of this agent. Throws as `callersTask` does. For any other key the agent has asked for nothing. */
export function callingInstance(
  approval: Approval,
  proofs: AgentProofs,
  call: AgentCall & { agentId: string },
): string {
  return callerOf(approval, proofs, provenCall(approval, call), call.agentId)
}

/** Whether this call proves that an instance of this agent made it. The proof then counts; one that counted before is refused. */
export function isCallOf(approval: Approval, proofs: AgentProofs, call: AgentCall & { agentId: string }): boolean {
  let proof: DpopProof
  try {
    proof = provenCall(approval, call)
  } catch {
    return false
  }
  const agent = approval.projection.ledger.registry.get('agent', call.agentId)
  if (agent === undefined || instanceWith(approval, agent, proof.jkt) === undefined) return false
  callerOf(approval, proofs, proof, call.agentId)
  return true
}

function provenCall({ clock, publicUrl }: Approval, { proof, method, path }: AgentCall): DpopProof {
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
  return verified.value
}

function callerOf(approval: Approval, proofs: AgentProofs, proof: DpopProof, agentId: string): string {
  const agent = approval.projection.ledger.registry.get('agent', agentId)
  const caller = agent && instanceWith(approval, agent, proof.jkt)
  if (caller === undefined) throw new ServiceError('access_request_unknown')
  // Only now: proofs by unregistered keys must not crowd out those that count.
  proofs.count(proof, agentId)
  return caller
}

/** The agent's instance that has this key: registered, or attested with an ask of this agent by the agent's current attestor. */
function instanceWith({ own, projection }: Approval, { id, attestor }: Agent, jkt: string): string | undefined {
  if (attestor.kind === 'registered_key') {
    const key = attestor.keys.find(({ jwk }) => thumbprint(jwk) === jkt)
    return key && `${id}/${key.instance}`
  }
  const now = jcsHash(attestor)
  const stillCounts = ({ attested_at }: Attestation) =>
    projection.ledger.registry
      .since('agent', id, Date.parse(attested_at))
      .every((then) => then !== undefined && jcsHash(then.attestor) === now)
  for (const { received } of own.of(id))
    if (received !== undefined && received.kind !== 'registry' && received.instance_key === jkt)
      if (received.attestation !== undefined && stillCounts(received.attestation)) return received.agent
  return undefined
}
