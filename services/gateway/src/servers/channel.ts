import type { Era, JsonObject } from '@bailiwick/mcp'
import type { Executed, RelayRequest } from '@bailiwick/relay'
import type { Hello } from '../manifest/manifest.ts'

/** Returns the text in which a response is passed on. `value` is the parsed response. */
export type Rewrite = (text: string, value: JsonObject) => string

export interface ExchangeOptions {
  /** A decision allowed the answer, so it is cut when the grant ends. Requests of the upstream pass to the client in no other answer. */
  isDecided?: boolean
  /** Whether the response may come on the stream of the session, if its own breaks off (2025-11-25, "Resumability and Redelivery"). */
  isResumable?: boolean
}

/** Connects one conversation, of a session or of one grant, with its upstream. It carries the client's messages as they are. */
export interface Channel {
  readonly era: Era
  /** Set once nothing can be sent any more: the session or the process is over. */
  readonly isOver: boolean
  /**
   * Sends a message and resolves with the head of the answer, as `Upstream.execute` does. The body holds only the answer to this message:
   * requests of the upstream to the client are denied on the way, unless `mayAsk` lets one pass. `rewrite` turns the upstream's response
   * into the one that is passed on; it is for lists, of which a grant sees only a part.
   */
  exchange(request: RelayRequest, signal: AbortSignal, rewrite?: Rewrite, options?: ExchangeOptions): Promise<Executed>
  /** Whether a request of the upstream may pass to the client, in the stream of what it belongs to. Nothing passes unless this is set. */
  mayAsk: (id: string | number, method: string) => boolean
  /** Tells the upstream that the client does not answer a request of it. */
  deny(id: string | number, method: string): void
  /** What the server said of itself when it began, where the client of the channel hears something else. */
  hello?(): Promise<Hello>
  /** Called when the upstream says that its lists changed. */
  onListChanged: () => void
  /** Ends the channel, with everything that belongs to it, at once. May be repeated. */
  end(): Promise<void>
}

/** A body that also gives up its source when it is given up, even before the first read: a generator that never began runs no code then. */
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
