import type { Action } from '@bailiwick/credentials'
import { errorCode, ServiceError } from '@bailiwick/errors'
import { mcpAction } from '@bailiwick/mcp'
import type { Permitted } from '@bailiwick/pep'
import type { Executed, Refused, RelayRequest, Upstream } from '@bailiwick/relay'
import type { Conversation } from './conversations.ts'
import type { Shares } from './shares.ts'

type Share = Shares['of']

/** An MCP server as the upstream of a relay. */
export class McpUpstream implements Upstream {
  readonly #server: string
  readonly #conversationOf: (request: RelayRequest, permitted: Permitted) => Promise<Conversation>
  readonly #onCut: (grant: string, reason: string) => void
  readonly #actionOf: typeof mcpAction
  readonly #share: Share

  /**
   * `conversationOf` returns the conversation that a request belongs to; `onCut` gets the reason when a call is cut. `actionOf` is for messages that
   * stand for an action only together with what came before them. `share` counts the answer.
   */
  constructor(
    server: string,
    conversationOf: (request: RelayRequest, permitted: Permitted) => Promise<Conversation>,
    onCut: (grant: string, reason: string) => void = () => undefined,
    actionOf: typeof mcpAction = mcpAction,
    share: Share = (_, __, make) => make(),
  ) {
    this.#server = server
    this.#conversationOf = conversationOf
    this.#onCut = onCut
    this.#actionOf = actionOf
    this.#share = share
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
    return this.#share(conversation.owner.agent, signal, () =>
      conversation.channel.exchange(request, signal, undefined, { isDecided: true, isResumable }),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Conversations are the server's, and end with it.
  }
}
