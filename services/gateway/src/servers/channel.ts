import type { Executed, RelayRequest } from '@bailiwick/relay'
import type { Era, JsonObject } from '../protocol/message.ts'

/** The text of a response as it may leave. `value` is what it says. */
export type Rewrite = (text: string, value: JsonObject) => string

/**
 * The way to one upstream for one conversation: the requests of a session, or of one grant. It carries the client's messages as they are.
 */
export interface Channel {
  readonly era: Era
  /** Set once nothing can be sent any more: the session or the process is over. */
  readonly isOver: boolean
  /**
   * Sends a message and resolves with the head of the answer, as `Upstream.execute` does. The body holds nothing but what answers this
   * message: requests of the upstream to the client are denied on the way. `rewrite` makes the response that leaves of the one that came;
   * it is for lists, of which a grant sees a part.
   */
  exchange(request: RelayRequest, signal: AbortSignal, rewrite?: Rewrite): Promise<Executed>
  /** Called when the upstream says that its lists changed. */
  onListChanged: () => void
  /** Ends it, and everything of it, at once. May be repeated. */
  end(): Promise<void>
}

/**
 * A body that gives up its source with it, also before the first read: leaving a generator that never began runs no code of it.
 */
export function withSource(body: AsyncGenerator<Uint8Array>, giveUp: () => unknown): AsyncIterableIterator<Uint8Array> {
  return {
    next: () => body.next(),
    async return() {
      await giveUp()
      return body.return(undefined)
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}

/** A body that is already there. */
export async function* whole(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes
}
