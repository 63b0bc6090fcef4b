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

/** What one evaluation asks (§6.1), defaults of a boxcar filled in. Unknown members are gone. */
export interface AuthZenEvaluation {
  subject: AuthZenEntity
  action: AuthZenAction
  resource: AuthZenEntity
  context?: JsonObject
}

/** The answer to one (§5.5). */
export interface AuthZenDecision {
  decision: boolean
  context?: JsonObject
}

/** Which permitted entities are asked for (§8.4 to §8.6). What is searched for has no id here: one that was sent is ignored. */
export type AuthZenSearch = { context?: JsonObject } & (
  | { entity: 'subject'; subject: Omit<AuthZenEntity, 'id'>; action: AuthZenAction; resource: AuthZenEntity }
  | { entity: 'resource'; subject: AuthZenEntity; action: AuthZenAction; resource: Omit<AuthZenEntity, 'id'> }
  | { entity: 'action'; subject: AuthZenEntity; resource: AuthZenEntity }
)

export interface AuthZenCaller {
  /** The header field. */
  authorization: string | undefined
  /** Whether nobody on a network can have read it. */
  confidential: boolean
  /** The address of whoever asks; '' on a Unix socket. */
  address: string
  /** Whether the caller no longer waits for an answer. Absent where the server cannot tell. */
  isGone?: () => boolean
}

/**
 * What answers AuthZEN requests: the pipeline of grants, or a set of policies alone. The HTTP layer (`http/authzen.ts`) reads
 * requests strictly, takes boxcars apart by their semantic, cuts pages and writes answers; a decider knows nothing of HTTP.
 */
export interface AuthZenDecider {
  /** Who calls, before the body is read. Throws `caller_unauthenticated`, and `queue_full` for whoever has enough under way. */
  admit(caller: AuthZenCaller): AuthZenSession
}

/** One HTTP request of an admitted caller. */
export interface AuthZenSession {
  /**
   * Several may be asked at once: they take effect in the order in which they were asked, where it matters. A denial is an
   * answer; what is thrown is an error of the request (`request_malformed`), or of the system: in a boxcar, of its item alone.
   */
  evaluate(evaluation: AuthZenEvaluation): Promise<AuthZenDecision>
  /** What an evaluation of the same would permit. Changes nothing. Throws rather than to leave some out. */
  search(search: AuthZenSearch): Promise<AuthZenFound>
}

export interface AuthZenFound {
  /** Of actions: names. In any order. */
  ids: readonly string[]
  context?: JsonObject
}
