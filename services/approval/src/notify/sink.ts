import type { Notice } from './notice.ts'

/** `later`: a retry may work. `never`: it cannot work, because of the other side or of the notice itself. */
export type Sent = 'sent' | 'later' | 'never'

/** The port: where notices go. */
export interface NotificationSink {
  /**
   * Tries once to hand a notice over. `sent` when the other side said that it has it; the same notice may be handed over
   * again, under the same id. Never rejects. Resolves within 5 s even if the other side does not answer, and at once after the abort.
   */
  send(notice: Notice, signal: AbortSignal): Promise<Sent>
}

/** Sends no notices; people look at the console. */
export function silentSink(): NotificationSink {
  return { send: async () => 'sent' }
}
