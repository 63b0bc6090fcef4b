import type { Action } from '@bailiwick/credentials'
import { errorCode, ServiceError } from '@bailiwick/errors'
import type { Permitted } from '@bailiwick/pep'
import { type Executed, type Refused, type RelayRequest, readJsonView, type Upstream } from '@bailiwick/relay'
import { checkMirrors, readEra } from '../protocol/headers.ts'
import { type Era, type Message, readMessage } from '../protocol/message.ts'
import { streamMethod } from '../protocol/methods.ts'
import { actionOf, toolAction } from '../protocol/to-action.ts'
import type { Conversation } from './conversations.ts'

/** A client's message and the era that it belongs to. */
export interface Received {
  readonly message: Message
  readonly era: Era
}

/** Reads a message from the bytes that are sent on. Pure. Header fields and body must agree, so that the message has one meaning. */
export function readReceived({ headers, body }: Pick<RelayRequest, 'headers' | 'body'>): Received | Refused {
  const json = readJsonView(body)
  if ('refused' in json) return json
  const message = readMessage(json.value)
  if ('refused' in message) return message
  const era = readEra(headers, message)
  if (typeof era !== 'string') return era
  return checkMirrors(headers, message, era) ?? { message, era }
}

/** The action that these bytes ask for, or why there is none. Pure. */
export function mcpAction(server: string, request: RelayRequest): Action | Refused {
  if (request.method === 'GET' && request.body.length === 0) return toolAction(server, streamMethod, {})
  if (request.method !== 'POST') return { refused: 'method_not_allowed', detail: 'the method' }
  const received = readReceived(request)
  return 'refused' in received ? received : actionOf(server, received.era, received.message)
}

/** The answer of a client to a request of its server stands for a call of the tool `<server>/<method>`. Pure. */
export function answerAction(server: string, method: string, request: RelayRequest): Action | Refused {
  const received = readReceived(request)
  if ('refused' in received) return received
  const { message } = received
  return message.kind === 'response'
    ? toolAction(server, method, message.said)
    : { refused: 'mcp_message_malformed', detail: 'no response' }
}

/** An MCP server as the upstream of a relay. */
export class McpUpstream implements Upstream {
  readonly #server: string
  readonly #conversationOf: (request: RelayRequest, permitted: Permitted) => Promise<Conversation>
  readonly #onCut: (grant: string, reason: string) => void
  readonly #actionOf: typeof mcpAction

  /**
   * `conversationOf` returns the conversation that a request belongs to; `onCut` gets the reason when a call is cut. `actionOf` is for messages that
   * stand for an action only together with what came before them.
   */
  constructor(
    server: string,
    conversationOf: (request: RelayRequest, permitted: Permitted) => Promise<Conversation>,
    onCut: (grant: string, reason: string) => void = () => undefined,
    actionOf: typeof mcpAction = mcpAction,
  ) {
    this.#server = server
    this.#conversationOf = conversationOf
    this.#onCut = onCut
    this.#actionOf = actionOf
  }

  toAction(request: RelayRequest): Action | Refused {
    return this.#actionOf(this.#server, request)
  }

  async execute(permitted: Permitted, request: RelayRequest): Promise<Executed> {
    const { grant } = permitted.permit
    const conversation = await this.#conversationOf(request, permitted)
    // It was found by the claims of a credential that was not verified yet. The permit says whose call this is.
    if (conversation.owner.grant !== grant)
      throw new ServiceError('invariant_broken', 'the conversation of another grant')
    const { signal } = permitted
    const cut = () => {
      if (errorCode(signal.reason) === 'stream_cut') this.#onCut(grant, signal.reason.detail ?? '')
    }
    signal.addEventListener('abort', cut, { once: true })
    // Where something of the answer must be hidden or counted, it leaves on its own stream alone.
    const { redact, mostBytes } = permitted.owed
    const isResumable = redact.length === 0 && mostBytes === undefined
    return conversation.channel.exchange(request, signal, undefined, { isDecided: true, isResumable })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Conversations are the server's, and end with it.
  }
}
