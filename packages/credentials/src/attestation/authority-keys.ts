import { parseStrictJson } from '@bailiwick/contracts'
import type { JWK } from 'jose'

/** A key of an authority that vouches for workloads. The key's record determines the algorithm, never a token. */
export interface AuthorityKey {
  readonly kid: string
  readonly alg: string
  readonly jwk: JWK
}

/** An authority's keys by `kid`, from one read. */
export interface AuthorityKeys {
  readonly keys: ReadonlyMap<string, AuthorityKey>
  /** How soon the authority wants them to be read again (SPIFFE Trust Domain and Bundle §4.1.2); undefined: it does not say. */
  readonly refreshSeconds: number | undefined
}

/** The algorithms of a key by its type; the first is the default if the record names none. No algorithm is symmetric. */
const algorithmsOf: Readonly<Record<string, readonly string[]>> = {
  'EC P-256': ['ES256'],
  'EC P-384': ['ES384'],
  'EC P-521': ['ES512'],
  'OKP Ed25519': ['EdDSA', 'Ed25519'],
  'RSA ': ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
}

/** Every algorithm in which an authority's token may be signed. */
export const authorityAlgorithms: readonly string[] = Object.values(algorithmsOf).flat()

const publicMembers = ['kty', 'crv', 'x', 'y', 'n', 'e'] as const
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']

/**
 * Parses a JWK Set (RFC 7517 §5) strictly; undefined unless it is one. A key counts only if it has its own `kid` and one of the `uses`. A
 * key with private members, or of an unknown type, is ignored. If two keys share a `kid`, both are ignored, because it is unclear which one
 * was meant.
 */
export function parseAuthorityKeys(
  bytes: Uint8Array,
  uses: readonly (string | undefined)[],
): AuthorityKeys | undefined {
  const set = objectIn(bytes)
  if (set === undefined || !Array.isArray(set.keys) || set.keys.length > 1000) return undefined
  const keys = new Map<string, AuthorityKey>()
  const ambiguous = new Set<string>()
  for (const entry of set.keys) {
    const key = keyOf(entry, uses)
    if (key === undefined) continue
    if (keys.has(key.kid)) ambiguous.add(key.kid)
    keys.set(key.kid, key)
  }
  for (const kid of ambiguous) keys.delete(kid)
  const hint = set.spiffe_refresh_hint
  return { keys, refreshSeconds: typeof hint === 'number' && hint > 0 ? hint : undefined }
}

function keyOf(entry: unknown, uses: readonly (string | undefined)[]): AuthorityKey | undefined {
  if (typeof entry !== 'object' || entry === null) return undefined
  const record: Readonly<Record<string, unknown>> = { ...entry }
  const { kid, kty, crv, use, alg } = record
  if (privateMembers.some((member) => member in record)) return undefined
  if (typeof kid !== 'string' || kid === '' || !uses.some((each) => each === use)) return undefined
  const algorithms = algorithmsOf[`${kty} ${crv ?? ''}`] ?? []
  const chosen = alg === undefined ? algorithms[0] : algorithms.find((each) => each === alg)
  if (chosen === undefined) return undefined
  const jwk: Record<string, string> = {}
  for (const member of publicMembers) {
    const value = record[member]
    if (typeof value === 'string') jwk[member] = value
  }
  return { kid, alg: chosen, jwk: jwk as JWK }
}

/** Strict JSON that is an object, otherwise undefined. */
export function objectIn(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value = parseStrictJson(bytes)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}
