import type { Action } from '@bailiwick/credentials'
import type { Upstream } from '@bailiwick/relay'
import type { AccountSession } from './account-session.ts'
import type { SessionEntry } from './session-entry.ts'

export interface SessionUpstreamOptions {
  toAction: Upstream['toAction']
  operations: SessionEntry['operations']
  /** The session of the caller, for a call that this decision allowed. */
  sessionOf: (decisionId: string) => Pick<AccountSession, 'send'>
}

/** A web application as the upstream of a relay, for the holder of one grant. */
export function sessionUpstream({ toAction, operations, sessionOf }: SessionUpstreamOptions): Upstream {
  const doneOf = ({ resource }: Action) => operations[resource.id.slice(resource.id.indexOf('/') + 1)]?.done
  return {
    toAction,
    execute: async ({ decisionId, action, signal, owed }, request) =>
      sessionOf(decisionId).send(request, { done: doneOf(action), mustHide: owed.redact.length > 0 }, signal),
    async [Symbol.asyncDispose]() {
      // The session belongs to its grant, and ends with it.
    },
  }
}
