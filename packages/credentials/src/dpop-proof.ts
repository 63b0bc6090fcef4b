import { sha256Schema } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { z } from 'zod'
import { sha256 } from './base64url.ts'
import { jcs } from './canonical.ts'
import { normalizeHtu } from './htu.ts'
import type { PublicJwk } from './jwk.ts'
import { parseCompact, signUnder, verifyParsed } from './jws.ts'
import { type SigningKey, verifyingKey } from './keys.ts'
import { kinds } from './kinds.ts'
import { type Clocked, jtiSchema, numericDateSchema } from './lifetime.ts'
import { refused, type Verified } from './verified.ts'

// Clients by other vendors make these too, so unknown members are allowed.
const dpopProofSchema = z.looseObject({
  htm: z.string().min(1).max(32),
  htu: z.string().min(1).max(8192),
  iat: numericDateSchema,
  jti: jtiSchema,
  ath: sha256Schema.optional(),
  nonce: z.string().min(1).max(512).optional(),
  /** Our own member: the action that this call will execute (DESIGN §7.4). */
  action_digest: sha256Schema.optional(),
})

/** Makes the proof of one request (RFC 9449 §4.2). Throws `invariant_broken` if `htu` is not an http(s) URI. */
export function makeDpopProof(
  proof: {
    htm: string
    htu: string
    jti: string
    /** ms since the epoch */
    now: number
    /** The credential that is sent with it; absent at the token endpoint. */
    accessToken?: string | undefined
    nonce?: string | undefined
    actionDigest?: string | undefined
  },
  key: SigningKey<'agent'>,
): string {
  const htu = normalizeHtu(proof.htu)
  if (htu === undefined) throw new ServiceError('invariant_broken', 'dpopProof: htu is not an http(s) URI')
  const claims = {
    htm: proof.htm,
    htu,
    iat: Math.floor(proof.now / 1000),
    jti: proof.jti,
    ath: proof.accessToken === undefined ? undefined : sha256(proof.accessToken),
    nonce: proof.nonce,
    action_digest: proof.actionDigest,
  }
  return signUnder(
    'dpopProof',
    { alg: key.alg, typ: kinds.dpopProof.typ, jwk: key.publicJwk },
    dpopProofSchema,
    claims,
    key,
  )
}

/** The content of a valid proof. */
export interface DpopProof {
  /** Thumbprint of the signing key: compare it with the credential's `cnf.jkt`. */
  readonly jkt: string
  readonly jwk: PublicJwk
  readonly jti: string
  /** ms since the epoch */
  readonly iat: number
  readonly nonce: string | undefined
  readonly actionDigest: string | undefined
}

/**
 * Verifies the proof of one request (RFC 9449 §4.3, checks 2 to 11). `htm` and `htu` are those of the received request, not of a header.
 * With `accessToken` the proof must cover it; without, the proof must cover none. If `nonce` is given, the proof must carry it; otherwise
 * the caller judges the returned nonce. The caller must prevent replay by remembering `jti` and `jkt` for `maxAgeMs` + `leewayMs`.
 */
export function verifyDpopProof(
  options: {
    proof: string
    htm: string
    htu: string
    accessToken?: string | undefined
    nonce?: string | undefined
    /** How long after its `iat` a proof is accepted. */
    maxAgeMs: number
  } & Clocked,
): Verified<DpopProof> {
  // The only kind whose key comes in the header: the proof shows possession of that key and nothing else, so a private member (refused by
  // verifyingKey) shows that others possess the key too.
  const parsed = parseCompact(options.proof)
  const key = verifyingKey('agent', parsed?.header.jwk)
  if (key === undefined) return refused('token_malformed', 'dpopProof: jwk')
  const rules = { foreign: true, embeddedKey: true }
  const verified = verifyParsed('dpopProof', dpopProofSchema, parsed, key, rules)
  if (!verified.ok) return verified
  const { htm, htu, iat, jti, ath, nonce, action_digest } = verified.value
  if (htm !== options.htm) return refused('token_audience_wrong', 'dpopProof: htm')
  const target = normalizeHtu(options.htu)
  if (target === undefined || (htu !== options.htu && normalizeHtu(htu) !== target))
    return refused('token_audience_wrong', 'dpopProof: htu')
  const expected = options.accessToken === undefined ? undefined : sha256(options.accessToken)
  if (ath !== expected) return refused('token_audience_wrong', 'dpopProof: ath')
  if (options.nonce !== undefined && nonce !== options.nonce) return refused('token_expired', 'dpopProof: nonce')
  const { now, maxAgeMs, leewayMs } = options
  const madeAt = iat * 1000
  if (!(madeAt <= now + leewayMs && now <= madeAt + maxAgeMs + leewayMs))
    return refused('token_expired', 'dpopProof: iat')
  return { ok: true, value: { jkt: key.kid, jwk: key.jwk, jti, iat: madeAt, nonce, actionDigest: action_digest } }
}

/**
 * Identifies a proof wherever proofs are counted: in replay memories, in the grant store and in the event of an ALLOW. SHA-256 (base64url)
 * of the JCS array `["bailiwick-proof", jkt, jti]`: no two pairs share a spelling, and the hash has no other use.
 */
export function proofId({ jkt, jti }: Pick<DpopProof, 'jkt' | 'jti'>): string {
  return sha256(jcs(['bailiwick-proof', jkt, jti]))
}
