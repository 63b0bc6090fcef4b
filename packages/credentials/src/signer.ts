import type { Algorithm, PublicJwk } from './jwk.ts'
import type { KeyPurpose, SigningKey } from './keys.ts'

/**
 * Port: a key that signs for one purpose, wherever its private half is. The signer may be another machine (an HSM, a key management
 * service), so an answer takes time, and may not come.
 */
export interface Signer<P extends KeyPurpose = KeyPurpose> {
  readonly purpose: P
  /** The thumbprint of its public half (RFC 7638). */
  readonly kid: string
  readonly alg: Algorithm
  readonly publicJwk: PublicJwk
  /**
   * 64 bytes, as required by JWS (RFC 7518 §3.4). After a rejection there is no signature, or its answer was lost: a signature made in vain
   * must count for nothing on its own.
   */
  sign(data: Uint8Array): Promise<Uint8Array>
}

/** The adapter for key files: the key is in this process. */
export function fileSigner<P extends KeyPurpose>(key: SigningKey<P>): Signer<P> {
  const { purpose, kid, alg, publicJwk } = key
  return { purpose, kid, alg, publicJwk, sign: async (data) => key.sign(data) }
}
