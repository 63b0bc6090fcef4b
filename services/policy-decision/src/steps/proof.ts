import { type DpopProof, proofId as nameOf, verifyDpopProof } from '@bailiwick/credentials'
import type { EvaluationRequest } from '../http/evaluation-request.ts'
import type { Clocked, Judges } from '../ports.ts'
import { proofLeewayMs, proofMaxAgeMs } from '../state/proofs.ts'
import type { Credential } from './credential.ts'
import { refuse, type Verdict } from './steps.ts'

/** The proof, and the request that it came with, as the enforcement point observed them. */
export interface ShownProof {
  credential: string
  proof: string
  htm: string
  htu: string
}

/** A bound credential comes with a proof: it is never a bearer token (V11). */
export function proofShown({ request }: { request: EvaluationRequest }): Verdict<{ shown: ShownProof }> {
  const { credential, proof, htm, htu } = request.observed
  if (credential === undefined || proof === undefined || htm === undefined || htu === undefined)
    return refuse('proof_missing')
  return { shown: { credential, proof, htm, htu } }
}

/** The enforcement point executes what it asks for: its digest is the one that this PDP computed. */
export function sameAction({ request }: { request: EvaluationRequest }): Verdict<{ digest: string }> {
  const { digest, observed } = request
  if (digest === undefined || (observed.action_digest !== undefined && observed.action_digest !== digest))
    return refuse('action_digest_mismatch')
  return { digest }
}

export interface Proved {
  /** Whether the agent itself signed the digest, or only the enforcement point asserts it. */
  proof: 'agent_signed' | 'point_asserted'
  /** The name of the proof, which counts once. */
  proofId: string
  proofClaims: DpopProof
}

/** The proof was made with the credential's key, for this very call. */
export function proof(
  { shown, token, digest }: Pick<Credential, 'token'> & { shown: ShownProof; digest: string },
  { clock }: Pick<Clocked, 'clock'>,
): Verdict<Proved> {
  const verified = verifyDpopProof({
    proof: shown.proof,
    htm: shown.htm,
    htu: shown.htu,
    accessToken: shown.credential,
    maxAgeMs: proofMaxAgeMs,
    now: clock.now(),
    leewayMs: proofLeewayMs,
  })
  if (!verified.ok) return refuse('proof_invalid')
  const { jkt, actionDigest: proved } = verified.value
  if (jkt !== token.cnf.jkt) return refuse('proof_key_mismatch')
  if (proved !== undefined && proved !== digest) return refuse('proof_action_mismatch')
  const signedBy = proved === undefined ? 'point_asserted' : 'agent_signed'
  return { proof: signedBy, proofId: nameOf(verified.value), proofClaims: verified.value }
}

/** The proof counts once, at all instances together (V10). */
export async function proofOnce(
  { proofId, proofClaims }: Pick<Proved, 'proofId' | 'proofClaims'>,
  { proofs }: Pick<Judges, 'proofs'>,
): Promise<Verdict> {
  const verdict = await proofs.accept(proofId, proofClaims.iat, proofClaims.nonce)
  if (verdict === 'replayed') return refuse('proof_replayed')
  return verdict === 'nonce_required' ? refuse('proof_nonce_required') : undefined
}
