import type { Action } from '@bailiwick/credentials'
import type { Refused } from '@bailiwick/errors'
import { type RawHeaders, readJsonView } from '@bailiwick/kit'
import { checkMirrors, readEra } from './headers.ts'
import { type Era, type Message, readMessage } from './message.ts'
import { streamMethod } from './methods.ts'
import { actionOf, toolAction } from './to-action.ts'

/** A request over streamable HTTP, as it is sent on. */
export interface McpRequest {
  readonly method: string
  readonly headers: RawHeaders
  readonly body: Uint8Array
}

/** A client's message and the era that it belongs to. */
export interface Received {
  readonly message: Message
  readonly era: Era
}

/** Reads a message from the bytes that go on. Pure: header fields and body must agree, and then say one thing. */
export function readReceived({ headers, body }: Pick<McpRequest, 'headers' | 'body'>): Received | Refused {
  const json = readJsonView(body)
  if ('refused' in json) return json
  const message = readMessage(json.value)
  if ('refused' in message) return message
  const era = readEra(headers, message)
  if (typeof era !== 'string') return era
  return checkMirrors(headers, message, era) ?? { message, era }
}

/**
 * The action that these bytes ask for at the tool server `server`, or why there is none. Pure. The agent signs this action, and the
 * enforcement point decides on it: both call this function, so they read the same bytes alike.
 */
export function mcpAction(server: string, request: McpRequest): Action | Refused {
  if (request.method === 'GET' && request.body.length === 0) return toolAction(server, streamMethod, {})
  if (request.method !== 'POST') return { refused: 'method_not_allowed', detail: 'the method' }
  const received = readReceived(request)
  return 'refused' in received ? received : actionOf(server, received.era, received.message)
}

/** The answer of a client to a request of its server stands for a call of the tool `<server>/<method>`. Pure, and called by both as well. */
export function answerAction(server: string, method: string, request: McpRequest): Action | Refused {
  const received = readReceived(request)
  if ('refused' in received) return received
  const { message } = received
  return message.kind === 'response'
    ? toolAction(server, method, message.said)
    : { refused: 'mcp_message_malformed', detail: 'no response' }
}
