import type { Agent, Attestation } from '@bailiwick/contracts'
import type { Refused } from '../verified.ts'

/** What a workload shows beside its token, and to whom. */
export interface Presented {
  /** The agent that the token is said to be of, as the registry has it: its attestor is the judge. */
  readonly agent: Agent
  /** The names of who takes the token here: it is for one of them, alone. One for anybody else could be passed on by him. */
  readonly audiences: readonly string[]
  /** ms since the epoch. */
  readonly now: number
  /** Thumbprint of the key whose possession the workload proves by itself, with a proof of its own. */
  readonly key: string
}

/** Who a workload is. What is bound to it is bound to this instance and this key. */
export interface Attested {
  readonly ok: true
  /** The agent's SPIFFE ID. */
  readonly agent: string
  /** `<agent id>/<instance>` */
  readonly instance: string
  readonly kind: Attestation['kind']
  /** Names the token in evidence, where itself it must not stand (V17). Absent with a registered key. */
  readonly tokenHash: string | undefined
  /** ms since the epoch; what rests on this alone rests on nothing after that. */
  readonly expiresAt: number
  /**
   * The token counts once (RFC 7523 §3): the caller remembers its `jti` until `expiresAt`, and its times say whether a caller before may have
   * counted it (`mayHaveCounted`). Absent where it may be shown again.
   */
  readonly once: { readonly jti: string; readonly exp: number; readonly iat: number | undefined } | undefined
}

/**
 * How a workload shows which instance of an agent it is. Hostile input never throws: it is refused, with a reason. A token
 * that was shown with one key is refused with another (`token_replayed`), for as long as it lives: whoever reads a token
 * on its way cannot use it with a key of his own. That memory is this process's.
 */
export interface Attestor {
  attest(token: string, presented: Presented): Promise<Attested | Refused>
}
