import { compactJwsSchema, decisionIdSchema, parseStrictJson } from '@bailiwick/contracts'
import { decodeBase64url } from '@bailiwick/credentials'
import { errorCode } from '@bailiwick/errors'
import { z } from 'zod'
import type { ActionSnapshot } from './action-snapshot.ts'
import type { PdpAnswer, PdpClient } from './pdp-client.ts'
import { type AccessRequestOffer, denialReasonOf, type Refusal, refusal } from './refusal.ts'
import type { Continues, Round } from './round.ts'

/** An action without arguments, on a resource. */
export interface MappedAction {
  readonly name: string
  readonly resource: { readonly type: string; readonly id: string }
}

/** What an enforcement point observed of one call. */
export interface Observed {
  /** The credential as received, without its scheme; undefined if there was none. */
  credential: string | undefined
  /** The DPoP proof (RFC 9449). */
  proof: string | undefined
  /** Method and URI of the request as the caller meant it: based on this point's own address, never on a header's. */
  htm: string
  htu: string
  /** The longest answer, in bytes, for a task that limits answers; if left out, the decision point chooses. */
  mostBytes?: number | undefined
  /**
   * How long the answer may stream, in seconds, at most 8 h, if that is longer than the PDP usually waits for an outcome (1 minute). If no
   * outcome comes, the reservation is held for as long. After this time the call is cut. Default: the effect ends within the minute.
   */
  answerSeconds?: number | undefined
  /** What the tool's declared mapping makes of this call: allowed only if each was granted beside the action itself. */
  mapped?: readonly MappedAction[] | undefined
  /** The round of an earlier call that this call goes on with: answers were added to that call, and nothing else. */
  continues?: Round | undefined
  /** The hash of what the tool's server says of itself now: refused with `manifest_changed` unless humans signed exactly this. */
  manifest?: string | undefined
}

/** An ALLOW as received: worth nothing before its permit is verified. */
export interface ClaimedAllow {
  readonly allowed: true
  readonly decisionId: string
  readonly permit: string
  /** Obligations next to the permit; those inside it are signed. */
  readonly conditions: readonly unknown[]
}

/** A denial, and the obligations that hold all the same (AuthZEN obligations profile, "Obligations on DENY Decisions"). */
export interface ClaimedDenial {
  readonly refusal: Refusal
  readonly conditions: readonly unknown[]
}

const allowSchema = z.object({
  decision: z.literal(true),
  context: z.object({
    decision_id: decisionIdSchema,
    permit: compactJwsSchema,
    obligations: z.array(z.unknown()).optional(),
    limit: z.unknown().optional(),
  }),
})

// A denial stays a denial even if one of its members cannot be read: that member is left out.
const denySchema = z.object({
  decision: z.literal(false),
  context: z
    .object({
      decision_id: decisionIdSchema.optional().catch(undefined),
      reason: z.string().max(100).optional().catch(undefined),
      obligations: z.array(z.unknown()).max(16).optional().catch(undefined),
      access_request: z
        .object({
          endpoint: z.url({ protocol: /^https?$/ }).max(2048),
          expires_at: z.string().max(40),
          binding_token: compactJwsSchema.optional(),
        })
        .optional()
        .catch(undefined),
      retry_after: z.int().min(1).max(3600).optional().catch(undefined),
      dpop_nonce: z
        .string()
        .regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,512}$/)
        .optional()
        .catch(undefined),
    })
    .catch({}),
})

/**
 * Asks the PDP (AuthZEN Authorization API 1.0 §6), and repeats the question under the same call id if the answer was lost. Throws
 * `pdp_unavailable`. Any answer that is not a clear ALLOW is a refusal.
 */
export async function askPdp(
  pdp: PdpClient,
  { action, digest }: ActionSnapshot,
  { credential, proof, htm, htu, mostBytes, answerSeconds, manifest, mapped }: Observed,
  callId: string,
  { supported, continues }: { supported: readonly string[]; continues?: Continues | undefined },
): Promise<ClaimedAllow | ClaimedDenial> {
  const answer = await pdp.callAgain('POST', '/access/v1/evaluation', {
    subject: { type: 'agent', id: claimedSubject(credential) },
    action: { name: action.name, properties: action.properties },
    resource: action.resource,
    context: {
      supported_obligations: supported,
      bailiwick: {
        ...{ credential, proof, htm, htu, action_digest: digest, call_id: callId },
        ...{ answer_bytes: mostBytes, answer_seconds: answerSeconds, manifest, mapped, continues },
      },
    },
  })
  return readAnswer(answer)
}

function readAnswer({ status, body, retryAfterSeconds }: PdpAnswer): ClaimedAllow | ClaimedDenial {
  if (status === 400) return denied('request_invalid')
  if (status === 413) return denied('body_too_large')
  const later = retryAfterSeconds === undefined ? {} : { retryAfterSeconds }
  if (status === 429) return denied(isQuota(body) ? 'decision_quota_exceeded' : 'queue_full', later)
  if (status !== 200) return denied('pdp_unavailable', later)
  const allow = allowSchema.safeParse(body)
  if (allow.success) {
    const { decision_id, permit, obligations = [], limit } = allow.data.context
    const conditions = limit === undefined ? obligations : [...obligations, limit]
    return { allowed: true, decisionId: decision_id, permit, conditions }
  }
  const deny = denySchema.safeParse(body)
  if (!deny.success) return denied('pdp_unavailable')
  const { decision_id, reason, access_request, dpop_nonce, retry_after, obligations = [] } = deny.data.context
  const more = {
    ...(decision_id === undefined ? {} : { decisionId: decision_id }),
    ...(access_request ? { accessRequest: offerOf(access_request) } : {}),
    ...(dpop_nonce === undefined ? {} : { dpopNonce: dpop_nonce }),
    ...(retry_after === undefined ? {} : { retryAfterSeconds: retry_after }),
  }
  return { refusal: refusal(denialReasonOf(reason ?? 'internal'), more), conditions: obligations }
}

const denied = (reason: Refusal['reason'], more: { retryAfterSeconds?: number } = {}): ClaimedDenial => ({
  refusal: refusal(reason, more),
  conditions: [],
})

const isQuota = (problem: unknown): boolean => errorCode(problem) === 'decision_quota_exceeded'

/** The binding token is passed on as received: the agent hands it in, and no component here reads it. */
function offerOf({ binding_token, ...offer }: AccessRequestOffer): AccessRequestOffer {
  return binding_token === undefined ? offer : { ...offer, binding_token }
}

// Not made for each call: a schema costs ten times as much to make as to use.
const subjectSchema = z.object({ sub: z.string().min(1).max(2048) })

/** AuthZEN requires a subject; the PDP reads the real one from the credential that it verifies. */
export function claimedSubject(credential: string | undefined): string {
  const payload = decodeBase64url(credential?.split('.')[1] ?? '')
  try {
    const claims = subjectSchema.safeParse(parseStrictJson(payload ?? new Uint8Array()))
    return claims.success ? claims.data.sub : 'unknown'
  } catch {
    return 'unknown'
  }
}
