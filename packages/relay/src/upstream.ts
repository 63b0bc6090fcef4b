import type { Writable } from 'node:stream'
import type { Action } from '@bailiwick/credentials'
import type { Refused } from '@bailiwick/errors'
import type { RawHeaders } from '@bailiwick/kit'
import type { Effect, Permitted } from '@bailiwick/pep'

export type { RawHeaders, Refused }

/**
 * A request as it was received, after the canonical gate let it through: every part can be read in only one way. Nothing in it was
 * rewritten. The request that is sent on consists of these very values.
 */
export interface RelayRequest {
  /** A token, spelled as received: `POST`, never `post`. */
  readonly method: string
  /** Origin form, as received: an absolute path and an optional query (RFC 9112 §3.2.1). */
  readonly target: string
  /** Without the fields that the gate takes for itself: framing, hop-by-hop fields, credential, proof and call id. */
  readonly headers: RawHeaders
  /** The whole content, after the framing was removed. Empty if there was none. Its length is bounded by the gate. */
  readonly body: Uint8Array
  /** There may be content that is not in `body`: a proxy asks for a decision without showing it. */
  readonly isBodyUnseen?: boolean
}

/** What the upstream answered. */
export interface Executed {
  /** The HTTP status, or the status that stands for the answer of another protocol. */
  readonly status: number
  /** Without hop-by-hop fields. Never contains a secret that was injected. */
  readonly headers: RawHeaders
  /**
   * The content as it arrives, unchanged and unbuffered; read once. Ends when the answer is whole. Throws when it is not: `stream_cut` if
   * `Permitted.signal` was aborted, `upstream_failed` if the upstream broke off, `upstream_too_large` at a limit. The reader must read to
   * the end or call `return`, which gives up the connection.
   */
  readonly body: AsyncIterable<Uint8Array>
  /**
   * Whether the answer reports that the effect failed, although it is a whole answer with a good status: a JSON-RPC error, for example.
   * Asked once, after `body` ended. Without it, a status of 400 or more means failed. Undefined: the answer is not here, and what became of
   * the effect is not known.
   */
  readonly failed?: () => boolean | undefined
  /**
   * What goes on after this answer, such as a job whose result is asked for later. Asked once, after `body` ended, unless the answer was
   * cut, with the effect of the answer: its bytes count in the limits. The outcome waits for it. `Permitted.signal` ends it, and it then
   * resolves. Its bytes are those that left after this answer. Never rejects.
   */
  readonly goesOn?: (ofAnswer: Effect) => Promise<Effect> | undefined
  /** For a connection that left HTTP (status 101): takes the client's bytes. It ends with `body`. */
  readonly writable?: Writable
  /** The hash that names the details of the effect in the outcome, at its end, even if it was cut. */
  readonly detailHash?: () => string
  /** What the effect cost and used, if the answer states it. Asked once, after `body` ended; not asked if it was cut. */
  readonly used?: () => Pick<Effect, 'cost' | 'tokens'>
}

/**
 * One kind of upstream: an HTTP API, an MCP server, a model. Each adapter passes `upstreamContract`.
 *
 * The types cannot say this:
 * - The adapter forwards the very bytes that it was decided on, or it refuses. It never parses and writes again.
 * - It holds the secrets of its upstream, and adds them to what it sends, where no part of the request can be. A request never names a
 *   secret.
 * - It does not know the caller's credential: `RelayRequest` does not contain it.
 */
export interface Upstream extends AsyncDisposable {
  /**
   * The action that these bytes ask for, or why there is none. Pure: the same bytes always give the same action, in any order. It is called
   * before the decision and again after the permit, for the copy that is sent; a difference is refused. The action must contain everything
   * in the request that the upstream acts on. If it cannot express something, it refuses the request, and leaves nothing out.
   */
  toAction(request: RelayRequest): Action | Refused
  /**
   * Sends exactly that request, at most once, and resolves with the head of the answer. Called only with a permit for
   * `toAction(request)`, once for each permit. It stops sending and reading as soon as `permitted.signal` is aborted.
   *
   * Rejects with `upstream_unreachable`, `upstream_busy`, `upstream_address_forbidden` or `secret_unavailable` if certainly no byte of the
   * request was sent: that is reported as `not_executed`. Every other rejection means that the effect may have happened. It never repeats
   * by itself.
   */
  execute(permitted: Permitted, request: RelayRequest): Promise<Executed>
}
