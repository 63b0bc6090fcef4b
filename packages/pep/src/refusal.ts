import { agentAlgorithms } from '@bailiwick/credentials'
import {
  type DenialReason,
  denialReasons,
  type ErrorCode,
  errorKinds,
  isDenialReason,
  retrySecondsOf,
} from '@bailiwick/errors'

/** Why this enforcement point itself refuses, regardless of the PDP's answer. */
export type PointReason = Extract<
  ErrorCode,
  | 'permit_invalid'
  | 'permit_used'
  | 'permit_action_mismatch'
  | 'obligation_unknown'
  | 'obligation_failed'
  | 'pdp_unavailable'
  | 'call_in_progress'
  | 'call_not_begun'
  | 'queue_full'
  | 'outcomes_unverified'
  | 'decision_quota_exceeded'
  | 'body_too_large'
  | 'request_malformed'
>

/** Where to ask for access (AuthZEN Access Request Profile, "requestable denial"), as given by the PDP. */
export interface AccessRequestOffer {
  readonly endpoint: string
  readonly expires_at: string
  /** The decision point's signed statement of the denial; the agent hands it in with its request. */
  readonly binding_token?: string | undefined
}

/** A denial, as a value. Nothing was executed. */
export interface Refusal {
  readonly allowed: false
  /** The PDP's reason (DESIGN §7.4), or this enforcement point's own. */
  readonly reason: DenialReason | PointReason
  readonly decisionId?: string
  /** Present if a human could allow it. */
  readonly accessRequest?: AccessRequestOffer
  /** The nonce that the next proof needs (RFC 9449 §9); with `proof_nonce_required`. */
  readonly dpopNonce?: string
  /** In how many seconds the same call may be repeated, according to the PDP's answer. */
  readonly retryAfterSeconds?: number
}

export function refusal(reason: Refusal['reason'], more: Omit<Refusal, 'allowed' | 'reason'> = {}): Refusal {
  return { allowed: false, reason, ...more }
}

/** The PDP's reason. A code unknown to this version is still a denial, but gives no reason. */
export function denialReasonOf(code: string): DenialReason {
  return isDenialReason(code) ? code : 'internal'
}

/** RFC 9449 §7.1: the `error` of the challenge that answers this reason; undefined if the reason does not concern authentication. */
export function challengeError(
  reason: Refusal['reason'],
): 'invalid_token' | 'invalid_dpop_proof' | 'use_dpop_nonce' | undefined {
  return challenges[reason]
}

/**
 * The `WWW-Authenticate` field for a refusal with 401 (RFC 9449 §7.1); without a credential it has no `error` (RFC 6750 §3.1).
 * `metadataUrl` is where the resource describes itself (RFC 9728 §5.1).
 */
export function challengeOf({ reason }: Pick<Refusal, 'reason'>, metadataUrl?: string): string {
  const error = challengeError(reason)
  const parts = [
    ...(error === undefined ? [] : [`error="${error}"`]),
    ...(metadataUrl === undefined ? [] : [`resource_metadata="${metadataUrl}"`]),
    `algs="${agentAlgorithms.join(' ')}"`,
  ]
  return `DPoP ${parts.join(', ')}`
}

const challenges: Partial<Record<Refusal['reason'], 'invalid_token' | 'invalid_dpop_proof' | 'use_dpop_nonce'>> = {
  credential_malformed: 'invalid_token',
  credential_invalid: 'invalid_token',
  credential_expired: 'invalid_token',
  credential_audience_wrong: 'invalid_token',
  credential_unrecorded: 'invalid_token',
  credential_revoked: 'invalid_token',
  proof_missing: 'invalid_dpop_proof',
  proof_invalid: 'invalid_dpop_proof',
  proof_key_mismatch: 'invalid_dpop_proof',
  proof_replayed: 'invalid_dpop_proof',
  proof_action_mismatch: 'invalid_dpop_proof',
  proof_nonce_required: 'use_dpop_nonce',
}

/** How long to wait before a call is made again that this enforcement point itself refused for now. */
const ownRetrySeconds = 1

/** In how many seconds repeating the same call may succeed; undefined: it would be refused again. */
export function retryAfterOf({ reason, retryAfterSeconds }: Refusal): number | undefined {
  if (retryAfterSeconds !== undefined) return retryAfterSeconds
  if (isDenialReason(reason)) return retrySecondsOf(reason)
  return errorKinds[reason].retryable ? ownRetrySeconds : undefined
}

/** What its reader can do about it, as a sentence for people and models. */
export function remedyOf({ reason }: Refusal): string {
  return isDenialReason(reason) ? denialReasons[reason].remedy : errorKinds[reason].title
}

/**
 * The header fields of the answer to a refusal: with 401 the challenge (`challengeOf`), otherwise when to try again, and in both cases the
 * nonce that the next proof needs.
 */
export function headersOfRefusal(refusal: Refusal, metadataUrl?: string): Readonly<Record<string, string>> {
  const { status, retry_after: seconds } = problemOfRefusal(refusal)
  const { dpopNonce } = refusal
  return {
    ...(status === 401 ? { 'www-authenticate': challengeOf(refusal, metadataUrl) } : {}),
    ...(status === 401 || seconds === undefined ? {} : { 'retry-after': String(seconds) }),
    ...(dpopNonce === undefined ? {} : { 'dpop-nonce': dpopNonce }),
  }
}

/** The problem document (RFC 9457) of a refusal. Extension members say where to ask, and when to try again. */
export function problemOfRefusal(refusal: Refusal): { status: number; [member: string]: unknown } {
  const { reason, decisionId, accessRequest } = refusal
  const own = isDenialReason(reason) ? undefined : errorKinds[reason]
  const unauthenticated = reason === 'credential_missing' || challengeError(reason) !== undefined
  return {
    type: `urn:bailiwick:${own ? 'error' : 'denial'}:${reason}`,
    title: own?.title ?? 'The action is denied',
    status: own?.status ?? (unauthenticated ? 401 : 403),
    code: reason,
    detail: isDenialReason(reason) ? denialReasons[reason].remedy : undefined,
    decision_id: decisionId,
    access_request: accessRequest,
    retry_after: retryAfterOf(refusal),
  }
}
