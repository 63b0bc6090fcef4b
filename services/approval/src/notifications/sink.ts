import type { Notice } from './notice.ts'

/** `later`: it may work if it is tried again. `never`: the other side, or the notice itself, will not do. */
export type Sent = 'sent' | 'later' | 'never'

/** Where notices go: the port. */
export interface NotificationSink {
  /**
   * Tries once to hand a notice over. `sent` when the other side said that it has it; the same notice may be handed over
   * again, under the same id. Never rejects, and resolves within 5 s whatever the other side does, at once after the abort.
   */
  send(notice: Notice, signal: AbortSignal): Promise<Sent>
}

/** Nobody is told; people look at the console. */
export function silentSink(): NotificationSink {
  return { send: async () => 'sent' }
}
