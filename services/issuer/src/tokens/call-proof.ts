import { type DpopProof, proofId, verifyDpopProof } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { DpopNonces } from '@bailiwick/host'
import type { Remembered, ReplayMemory } from '@bailiwick/kit'
import type { Issuer } from '../context.ts'

const maxAgeMs = 60_000
const leewayMs = 5000

/** The judge of proofs. All endpoints of the issuer share its nonces and its memory. */
export interface ProofJudge {
  issuer: Pick<Issuer, 'clock'>
  nonces: DpopNonces
  replay: ReplayMemory
}

export type CallProof =
  | { ok: true; proof: DpopProof }
  | { ok: false; error: 'invalid_dpop_proof' | 'use_dpop_nonce'; why: string }

/** The key that signed this very POST (RFC 9449 §4.3), with a nonce of ours. The proof counts only once `countProof` has counted it. */
export function readProof({ issuer, nonces }: ProofJudge, htu: string, dpop: string | undefined): CallProof {
  // No proof contains a comma: node joins two header fields with one (RFC 9449 §4.3 check 1).
  if (dpop === undefined || dpop.includes(','))
    return { ok: false, error: 'invalid_dpop_proof', why: 'Exactly one DPoP header is needed.' }
  const verified = verifyDpopProof({ proof: dpop, htm: 'POST', htu, now: issuer.clock.now(), maxAgeMs, leewayMs })
  if (!verified.ok) {
    const why = `The DPoP proof does not hold for this request: check its ${verified.detail.replace('dpopProof: ', '')}.`
    return { ok: false, error: 'invalid_dpop_proof', why }
  }
  const { nonce } = verified.value
  if (nonce === undefined || !nonces.accepts(nonce))
    return { ok: false, error: 'use_dpop_nonce', why: 'The DPoP proof needs the nonce that is in this answer.' }
  return { ok: true, proof: verified.value }
}

/** The owner of the share of memory: an agent has one share, however many instances and keys it has (V18). */
export const ownerOf = (instance: string) => `agent ${instance.slice(0, instance.lastIndexOf('/'))}`

/** Counts the proof (V10). Only for known keys: proofs by unknown keys must not crowd out those that count. */
export function countProof({ issuer, replay }: ProofJudge, proof: DpopProof, owner: string): Remembered {
  const now = issuer.clock.now()
  // After the last ms in which the proof is still accepted.
  return replay.remember(owner, proofId(proof), now + maxAgeMs + 2 * leewayMs + 1, now)
}

/** As `countProof`, for endpoints other than OAuth ones. Throws `token_replayed`, or `rate_limited` if there is no room. */
export function refuseReplay(judge: ProofJudge, proof: DpopProof, instance: string): void {
  const counted = countProof(judge, proof, ownerOf(instance))
  if (counted === 'seen') throw new ServiceError('token_replayed', 'the DPoP proof was used before')
  if (counted === 'full') throw new ServiceError('rate_limited')
}
