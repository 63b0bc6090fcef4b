/** A JSON object as it was sent. */
export type JsonObject = Readonly<Record<string, unknown>>

/** A subject or a resource (AuthZEN Authorization API 1.0 §5.1, §5.2): verbatim, nothing trimmed or normalised; an id may be empty. */
export interface AuthZenEntity {
  type: string
  id: string
  properties?: JsonObject
}

/** §5.3 */
export interface AuthZenAction {
  name: string
  properties?: JsonObject
}

/** One evaluation's question (§6.1), with the defaults of its boxcar filled in and unknown members removed. */
export interface AuthZenEvaluation {
  subject: AuthZenEntity
  action: AuthZenAction
  resource: AuthZenEntity
  context?: JsonObject
}

/** The answer to one evaluation (§5.5). */
export interface AuthZenDecision {
  decision: boolean
  context?: JsonObject
}

/** A search for permitted entities (§8.4 to §8.6). The entity searched for has no id here: an id that was sent is ignored. */
export type AuthZenSearch = { context?: JsonObject } & (
  | { entity: 'subject'; subject: Omit<AuthZenEntity, 'id'>; action: AuthZenAction; resource: AuthZenEntity }
  | { entity: 'resource'; subject: AuthZenEntity; action: AuthZenAction; resource: Omit<AuthZenEntity, 'id'> }
  | { entity: 'action'; subject: AuthZenEntity; resource: AuthZenEntity }
)

export interface AuthZenCaller {
  /** The `Authorization` header field. */
  authorization: string | undefined
  /** Whether no network observer can have read the header field. */
  confidential: boolean
  /** The caller's address; '' on a Unix socket. */
  address: string
  /** Whether the caller no longer waits for an answer. Absent where the server cannot tell. */
  isGone?: () => boolean
}

/**
 * Answers AuthZEN requests, by the pipeline of grants or by a set of policies alone. The HTTP layer (`http/authzen.ts`) reads
 * requests strictly, splits boxcars according to their semantic, cuts pages and writes answers. A decider knows nothing of HTTP.
 */
export interface AuthZenDecider {
  /**
   * Authenticates the caller before the body is read. Throws `caller_unauthenticated`, and `queue_full` for a caller with too many calls
   * under way.
   */
  admit(caller: AuthZenCaller): AuthZenSession
}

/** One HTTP request of an admitted caller. */
export interface AuthZenSession {
  /**
   * Several may be asked at once. Where the order matters, they take effect in the order in which they were asked. A denial is an answer.
   * Errors are thrown for a malformed request (`request_malformed`) or a system failure; in a boxcar they concern only their item.
   */
  evaluate(evaluation: AuthZenEvaluation): Promise<AuthZenDecision>
  /** Finds what an evaluation of the same would permit. Changes nothing. Throws rather than leave some out. */
  search(search: AuthZenSearch): Promise<AuthZenFound>
}

export interface AuthZenFound {
  /** Ids, or names for actions, in any order. */
  ids: readonly string[]
  context?: JsonObject
}
