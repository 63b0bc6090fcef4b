import type { Agent, Attestation } from '@bailiwick/contracts'
import type { PublicJwk } from '../jwk.ts'
import type { Refused } from '../verified.ts'

/** The evidence that a workload presents together with its token, and the service that receives it. */
export interface Presented {
  /** The agent to which the token is said to belong, from the registry: its attestor is the judge. */
  readonly agent: Agent
  /**
   * The names of the service that takes the token here. A token must name one of them and nothing else: another recipient could pass it on.
   */
  readonly audiences: readonly string[]
  /** ms since the epoch. */
  readonly now: number
  /** Thumbprint of the key whose possession the workload proves separately. */
  readonly key: string
  /** The key that people who opened an emergency named for this instance. Only that attestor reads it. */
  readonly openedFor?: PublicJwk | undefined
}

/** The identity of a workload. Everything bound to the workload is bound to this instance and this key. */
export interface Attested {
  readonly ok: true
  /** The agent's SPIFFE ID. */
  readonly agent: string
  /** `<agent id>/<instance>` */
  readonly instance: string
  readonly kind: Attestation['kind']
  /** Identifies the token in evidence, where the token itself must not appear (V17). Absent with a registered key. */
  readonly tokenHash: string | undefined
  /** ms since the epoch; after this time, nothing that rests only on this attestation is valid. */
  readonly expiresAt: number
  /**
   * Present if the token counts once (RFC 7523 §3). The caller remembers its `jti` until `expiresAt`; its times say whether an earlier
   * instance may have counted it (`mayHaveCounted`). Absent if the token may be shown again.
   */
  readonly once: { readonly jti: string; readonly exp: number; readonly iat: number | undefined } | undefined
}

/**
 * Checks which instance of an agent a workload is. Hostile input never throws: it is refused, with a reason. A token that was shown with
 * one key is refused with another (`token_replayed`) for as long as it lives, so that a thief who reads a token in transit cannot use it
 * with a different key. That memory is this process's own.
 */
export interface Attestor {
  attest(token: string, presented: Presented): Promise<Attested | Refused>
}
