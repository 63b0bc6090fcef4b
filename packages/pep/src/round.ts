import {
  type Continuation,
  type FirstRound,
  hasAnswers,
  type Permit,
  type SigningKey,
  signContinuation,
} from '@bailiwick/credentials'
import type { ActionSnapshot } from './action-snapshot.ts'

/** A round of a call: what a further round needs to go on with it. Only the start of the point that carried it out has it. */
export interface Round {
  readonly decisionId: string
  /** The first round of the call. */
  readonly first: FirstRound
  /** When the first round was allowed, ms since the epoch, in whole seconds. */
  readonly since: number
}

/** The round that a call continues, as the decision point gets it. */
export interface Continues {
  asked: string
  salt: string | undefined
}

/** `by`: the start of the point that asks, and the call that it asks for. */
export function continuesOf(
  { decisionId, first }: Round,
  by: Omit<Continuation, 'decision_id' | 'action_digest'>,
  key: SigningKey<'pep-caller'>,
): Continues {
  const asked = signContinuation({ ...by, decision_id: decisionId, action_digest: first.action }, key)
  return { asked, salt: first.salt }
}

/**
 * This round, for further ones. Undefined for a call that began with answers: its first round is not known here, so it does not go on as
 * one call.
 */
export function roundOf(
  { jti, iat, action_salt: salt }: Permit,
  { action }: ActionSnapshot,
  { continued, actionHash }: { continued: Round | undefined; actionHash: string },
): Round | undefined {
  if (continued !== undefined) return { ...continued, decisionId: jti }
  return hasAnswers(action) ? undefined : { decisionId: jti, first: { action: actionHash, salt }, since: iat * 1000 }
}
