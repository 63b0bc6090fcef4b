import { ServiceError } from '@bailiwick/errors'
import { isObject } from '@bailiwick/mcp'
import type { Conversation } from '../mcp/conversations.ts'
import type { McpServerOptions } from '../mcp/mcp-options.ts'
import type { Rewrite } from '../servers/channel.ts'
import { isSame } from './manifest.ts'
import { helloOf, observe } from './observe.ts'

export type Observed = NonNullable<Conversation['observed']>

export interface ReadingsOptions extends Pick<McpServerOptions, 'access' | 'clock'> {
  /** Called each time that the server was read. */
  onRead: McpServerOptions['onRead'] | undefined
  newId: () => string
  /** How long a reading is good for a call, in ms. */
  freshMs: number
}

/** What one server says of itself, read over the conversations with it: each may be with another process or replica. */
export class Readings {
  readonly #options: ReadingsOptions

  constructor(options: ReadingsOptions) {
    this.#options = options
  }

  /** Whether what was last read over this conversation is good for a call. */
  isFresh(conversation: Conversation): conversation is Conversation & { observed: object } {
    const { observed } = conversation
    return observed !== undefined && this.#options.clock.monotonic() - observed.at < this.#options.freshMs
  }

  /** What the server says now. It is read before the first call, for each list, and again when the last reading is no longer fresh. */
  async of(conversation: Conversation): Promise<Observed> {
    const { clock, access, newId, onRead } = this.#options
    if (this.isFresh(conversation)) return conversation.observed
    const at = clock.monotonic()
    const { hello, channel } = conversation
    const read = await observe(channel, { identity: access.identity(), hello, newId })
    conversation.observed = { ...read, at }
    onRead?.({ ...read, era: channel.era })
    return conversation.observed
  }

  /** What a server tells a client of itself is what was read and hashed: people would have approved one text, and a model would get another. */
  async asRead(conversation: Conversation): Promise<Rewrite> {
    const { server_info, instructions } = (await this.of(conversation)).manifest
    return (text, { result }) => {
      const told = helloOf(isObject(result) ? result : undefined)
      if (told === undefined || (isSame(told.serverInfo, server_info) && isSame(told.instructions, instructions)))
        return text
      conversation.observed = undefined
      throw new ServiceError('answer_malformed', 'the server describes itself otherwise to its client')
    }
  }
}
