import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Relay } from '../relay.ts'
import { type ReceiveOptions, receive } from './receive.ts'
import { clientGone, sendError, sendExecuted, sendRefusal, sendRefused } from './send.ts'

export interface ListenerOptions extends ReceiveOptions {
  relay: Relay
  /** Gets the errors that no answer shows. */
  onError?: (error: unknown) => void
}

/**
 * A listener for a server of Node.js that puts a relay in front of an upstream: gate, decision, one request, the answer. Refusals and
 * failures are problem documents. Give the server no other listener for requests, and none for `connect` and `upgrade`.
 */
export function relayListener({
  relay,
  onError = () => undefined,
  ...options
}: ListenerOptions): (incoming: IncomingMessage, response: ServerResponse) => Promise<void> {
  return async (incoming, response) => {
    try {
      const gone = clientGone(response)
      const received = await receive(incoming, options)
      if ('refused' in received) return sendRefused(response, received)
      if ('allowed' in received) return sendRefusal(response, received)
      const relayed = await relay.run(received.request, received.caller, gone)
      if ('refused' in relayed) return sendRefused(response, relayed)
      if (!relayed.allowed) return sendRefusal(response, relayed)
      await sendExecuted(response, relayed)
    } catch (error) {
      onError(error)
      sendError(response, error)
    }
  }
}
