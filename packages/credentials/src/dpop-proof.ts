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

// Other people's clients make these too: members that we do not know are let pass.
const dpopProofSchema = z.looseObject({
  htm: z.string().min(1).max(32),
  htu: z.string().min(1).max(8192),
  iat: numericDateSchema,
  jti: jtiSchema,
  ath: sha256Schema.optional(),
  nonce: z.string().min(1).max(512).optional(),
  /** Ours: the action that this call is to execute (DESIGN §7.4). */
  action_digest: sha256Schema.optional(),
})

/** Makes the proof of one request (RFC 9449 §4.2). Throws `invariant_broken` when `htu` is no http(s) URI. */
export function makeDpopProof(
  proof: {
    htm: string
    htu: string
    jti: string
    /** ms since the epoch */
    now: number
    /** The credential that goes with it; absent at the token endpoint. */
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

/** What a valid proof says. */
export interface DpopProof {
  /** Thumbprint of the key that signed: to be compared with the credential's `cnf.jkt`. */
  readonly jkt: string
  readonly jwk: PublicJwk
  readonly jti: string
  /** ms since the epoch */
  readonly iat: number
  readonly nonce: string | undefined
  readonly actionDigest: string | undefined
}

/**
 * Verifies the proof of one request (RFC 9449 §4.3, checks 2 to 11). `htm` and `htu` are those of the request that came, not
 * of a header. With `accessToken` the proof must be over it; without, it must be over none. `nonce`, when given, is
 * demanded; else the caller judges the one it gets. Replay is the caller's to remember, by `jti` and `jkt`, for
 * `maxAgeMs` + `leewayMs`.
 */
export function verifyDpopProof(
  options: {
    proof: string
    htm: string
    htu: string
    accessToken?: string | undefined
    nonce?: string | undefined
    /** How long after its `iat` a proof is taken. */
    maxAgeMs: number
  } & Clocked,
): Verified<DpopProof> {
  // The only kind whose key the header brings: the proof proves possession of it and nothing else, so a private member
  // (refused by verifyingKey) proves that others possess it too.
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
 * Names a proof wherever proofs are counted: in replay memories, in the grant store and in the event of an ALLOW. SHA-256 (base64url) of the
 * JCS array `["bailiwick-proof", jkt, jti]`, so that no two pairs share a spelling and the hash is of nothing else.
 */
export function proofId({ jkt, jti }: Pick<DpopProof, 'jkt' | 'jti'>): string {
  return sha256(jcs(['bailiwick-proof', jkt, jti]))
}
