import { decodeBase64url, sha256 } from './base64url.ts'

/** The algorithm of a key record. Ed25519 keys are written `EdDSA` here; their JWS may say `EdDSA` or `Ed25519` (RFC 9864). */
export type Algorithm = 'ES256' | 'EdDSA'

/** A public key, with the members of its thumbprint and no others. */
export type PublicJwk =
  | { readonly kty: 'EC'; readonly crv: 'P-256'; readonly x: string; readonly y: string }
  | { readonly kty: 'OKP'; readonly crv: 'Ed25519'; readonly x: string }

/** A key with its private half. It exists only in a key file (0600) and in a `SigningKey`. */
export type PrivateJwk = PublicJwk & { readonly d: string }

const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']

/**
 * Parses an untrusted JWK (RFC 7517) and keeps only the members of its thumbprint. undefined unless it is a P-256 or Ed25519 signature key
 * with coordinates of full length and without a private member: a sender of a private member has lost the key. Whether the point is on the
 * curve is checked when the key is used (`verifyingKey`).
 */
export function parsePublicJwk(jwk: unknown): PublicJwk | undefined {
  if (typeof jwk !== 'object' || jwk === null) return undefined
  if (privateMembers.some((member) => member in jwk)) return undefined
  return publicPart(jwk)
}

/** Like `parsePublicJwk`, for a private key of ours. */
export function parsePrivateJwk(jwk: unknown): PrivateJwk | undefined {
  if (typeof jwk !== 'object' || jwk === null || !('d' in jwk) || !is32Bytes(jwk.d)) return undefined
  const open = publicPart(jwk)
  return open && { ...open, d: jwk.d }
}

/** RFC 7638 with SHA-256: the `kid` of every key and the `jkt` of every confirmation. */
export function thumbprint(jwk: PublicJwk): string {
  const { kty, crv, x } = jwk
  return sha256(JSON.stringify(kty === 'EC' ? { crv, kty, x, y: jwk.y } : { crv, kty, x }))
}

export function algorithmOf(jwk: PublicJwk): Algorithm {
  return jwk.kty === 'EC' ? 'ES256' : 'EdDSA'
}

/** The values of `alg` that a signature by this key may state (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2). */
export const statedAlgorithms: Record<Algorithm, readonly string[]> = { ES256: ['ES256'], EdDSA: ['EdDSA', 'Ed25519'] }

/** The algorithms for callers that bring their own key, as stated in metadata and challenges (RFC 9449 §5.1, §7.1). */
export const agentAlgorithms: readonly string[] = Object.values(statedAlgorithms).flat()

function publicPart(jwk: object): PublicJwk | undefined {
  const { kty, crv, x, y, alg, use } = jwk as Record<string, unknown>
  const open: PublicJwk | undefined =
    kty === 'EC' && crv === 'P-256' && is32Bytes(x) && is32Bytes(y)
      ? { kty, crv, x, y }
      : kty === 'OKP' && crv === 'Ed25519' && is32Bytes(x)
        ? { kty, crv, x }
        : undefined
  if (open === undefined || (use !== undefined && use !== 'sig')) return undefined
  if (alg !== undefined && !(statedAlgorithms[algorithmOf(open)] as readonly unknown[]).includes(alg)) return undefined
  return open
}

// node:crypto accepts longer coordinates with leading zeros: one key would have many thumbprints.
function is32Bytes(text: unknown): text is string {
  return typeof text === 'string' && decodeBase64url(text)?.length === 32
}
