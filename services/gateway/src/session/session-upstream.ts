import type { Upstream } from '@bailiwick/relay'
import type { AccountSession } from './account-session.ts'
import { operationOf } from './session-action.ts'
import type { SessionEntry } from './session-entry.ts'

export interface SessionUpstreamOptions {
  toAction: Upstream['toAction']
  entry: Pick<SessionEntry, 'operations'>
  /** The session of the caller, for a call that this decision allowed. */
  sessionOf: (decisionId: string) => Pick<AccountSession, 'send'>
}

/** A web application as the upstream of a relay, for the holder of one grant. */
export function sessionUpstream({ toAction, entry, sessionOf }: SessionUpstreamOptions): Upstream {
  return {
    toAction,
    async execute({ decisionId, action, signal, owed }, request) {
      const done = operationOf(entry, action)?.done
      return sessionOf(decisionId).send(request, { done, mustHide: owed.redact.length > 0 }, signal)
    },
    async [Symbol.asyncDispose]() {
      // The session belongs to its grant, and ends with it.
    },
  }
}
