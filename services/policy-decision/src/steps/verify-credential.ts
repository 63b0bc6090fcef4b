import type { EnforcementPoint } from '@bailiwick/contracts'
import {
  type AccessToken,
  claimedKeyId,
  type DpopProof,
  normalizeHtu,
  proofId,
  verifyAccessToken,
  verifyDpopProof,
} from '@bailiwick/credentials'
import type { DenialReason, ErrorCode } from '@bailiwick/errors'
import { maxHeadSkewMs } from '@bailiwick/projection'
import type { Pdp } from '../context.ts'
import type { EvaluationRequest } from '../http/evaluation-request.ts'
import { proofLeewayMs, proofMaxAgeMs } from '../state/proofs.ts'

/** A caller's claim whose signatures are valid: which credential, for which exact action. */
export interface Claim {
  token: AccessToken
  /** The id of the credential key that signed the token. */
  kid: string
  /** The digest of the action as this PDP computed it. */
  digest: string
  /** Whether the agent itself signed the digest, or only the enforcement point asserts it. */
  proof: 'agent_signed' | 'point_asserted'
  /** The name of the proof, which counts once. */
  proofId: string
}

interface Refused {
  ok: false
  reason: DenialReason
  token?: AccessToken
}

export type Verification = { ok: true; claim: Claim } | Refused

/** DESIGN §7.4 step 1: the enforcement point, the credential and the proof of its key, verified here and now. */
export async function verifyCredential(
  pdp: Pdp,
  point: EnforcementPoint,
  request: EvaluationRequest,
): Promise<Verification> {
  const read = readCredential(pdp, point, request)
  if (!read.ok) return read
  const { claim, proof } = read
  const verdict = await pdp.proofs.accept(claim.proofId, proof.iat, proof.nonce)
  const { token } = claim
  if (verdict === 'replayed') return { ok: false, reason: 'proof_replayed', token }
  if (verdict === 'nonce_required') return { ok: false, reason: 'proof_nonce_required', token }
  return { ok: true, claim }
}

/** Verifies everything except whether the proof is new. */
export function readCredential(
  pdp: Pdp,
  point: EnforcementPoint,
  request: EvaluationRequest,
): { ok: true; claim: Claim; proof: DpopProof } | Refused {
  const { observed } = request
  if (!inScope(point, request.resource)) return { ok: false, reason: 'pep_out_of_scope' }
  if (observed.credential === undefined) return { ok: false, reason: 'credential_missing' }
  const signed = readToken(pdp, point, observed.credential)
  if (typeof signed === 'string') return { ok: false, reason: signed }
  const { token, kid } = signed
  if (observed.proof === undefined || observed.htm === undefined || observed.htu === undefined)
    return { ok: false, reason: 'proof_missing', token }
  if (!isAtPoint(point, observed.htu)) return { ok: false, reason: 'pep_out_of_scope', token }
  const { digest } = request
  if (digest === undefined || (observed.action_digest !== undefined && observed.action_digest !== digest))
    return { ok: false, reason: 'action_digest_mismatch', token }
  const proof = verifyDpopProof({
    proof: observed.proof,
    htm: observed.htm,
    htu: observed.htu,
    accessToken: observed.credential,
    maxAgeMs: proofMaxAgeMs,
    now: pdp.clock.now(),
    leewayMs: proofLeewayMs,
  })
  if (!proof.ok) return { ok: false, reason: 'proof_invalid', token }
  const { jkt, actionDigest: proved } = proof.value
  if (jkt !== token.cnf.jkt) return { ok: false, reason: 'proof_key_mismatch', token }
  if (proved !== undefined && proved !== digest) return { ok: false, reason: 'proof_action_mismatch', token }
  const signedBy = proved === undefined ? 'point_asserted' : 'agent_signed'
  const claim: Claim = { token, kid, digest, proof: signedBy, proofId: proofId(proof.value) }
  return { ok: true, claim, proof: proof.value }
}

function inScope(point: EnforcementPoint, resource: EvaluationRequest['resource']): boolean {
  return point.resources.some((scope) => {
    if (scope.type !== resource.type) return false
    if ('id' in scope) return scope.id === resource.id
    return 'id_prefix' in scope ? resource.id.startsWith(scope.id_prefix) : true
  })
}

/**
 * Whether the call was made to an address that the registry has for the enforcement point. Otherwise a point that trusts a `Host`
 * header, or that was taken over, could bring a proof here that an agent made for an impostor's address.
 */
function isAtPoint({ base_urls }: EnforcementPoint, htu: string): boolean {
  const called = normalizeHtu(htu)
  return base_urls.some((url) => {
    const base = normalizeHtu(url)?.replace(/\/*$/, '/')
    return called !== undefined && base !== undefined && `${called}/`.startsWith(base)
  })
}

/** Reads the credential by itself, for callers that only look up what it is about. It allows nothing. */
export function readToken(
  pdp: Pdp,
  point: EnforcementPoint,
  credential: string,
): Pick<Claim, 'token' | 'kid'> | DenialReason {
  const now = pdp.clock.now()
  const kid = claimedKeyId(credential)
  if (kid === undefined) return 'credential_malformed'
  const key = pdp.keyRing.find(kid, 'credential', now)
  if (!key.ok) return 'credential_invalid'
  // If an issuer's clock is further ahead than this, all its events are ignored, and nothing is fresh.
  const options = { token: credential, key: key.value, issuer: pdp.trust.public_url, now, leewayMs: maxHeadSkewMs }
  let code: ErrorCode = 'token_audience_wrong'
  for (const audience of [pdp.trust.public_url, ...point.base_urls]) {
    const verified = verifyAccessToken({ ...options, audience })
    if (verified.ok) return { token: verified.value, kid }
    code = verified.code
    if (code !== 'token_audience_wrong') break
  }
  return tokenReasons[code] ?? 'credential_invalid'
}

const tokenReasons: Partial<Record<ErrorCode, DenialReason>> = {
  token_audience_wrong: 'credential_audience_wrong',
  token_expired: 'credential_expired',
  token_malformed: 'credential_malformed',
}
