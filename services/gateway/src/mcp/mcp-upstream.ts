import type { Action } from '@bailiwick/credentials'
import { errorCode, ServiceError } from '@bailiwick/errors'
import { askedBack, type JsonObject, mayBeTask, mcpAction, readReceived, taskBegun } from '@bailiwick/mcp'
import type { Permitted } from '@bailiwick/pep'
import type { Executed, Refused, RelayRequest, Upstream } from '@bailiwick/relay'
import type { OpenRound } from '../rounds/rounds.ts'
import type { Task } from '../tasks/task.ts'
import type { Tasks } from '../tasks/tasks.ts'
import type { Conversation } from './conversations.ts'
import type { Shares } from './shares.ts'

type Share = Shares['of']

export interface McpUpstreamParts {
  /** Gets the reason when a call is cut. */
  onCut?: (grant: string, reason: string) => void
  /** For messages that stand for an action only together with what came before them. */
  actionOf?: typeof mcpAction | undefined
  /** Counts the answer. */
  share?: Share
  /** The tasks of a conversation, where a call may become one. */
  tasksOf?: (conversation: Conversation) => Tasks
}

/** An MCP server as the upstream of a relay. */
export class McpUpstream implements Upstream {
  readonly #server: string
  readonly #conversationOf: (request: RelayRequest, permitted: Permitted) => Promise<Conversation>
  readonly #parts: McpUpstreamParts

  /** `conversationOf` returns the conversation that a request belongs to. */
  constructor(
    server: string,
    conversationOf: (request: RelayRequest, permitted: Permitted) => Promise<Conversation>,
    parts: McpUpstreamParts = {},
  ) {
    this.#server = server
    this.#conversationOf = conversationOf
    this.#parts = parts
  }

  toAction(request: RelayRequest): Action | Refused {
    return (this.#parts.actionOf ?? mcpAction)(this.#server, request)
  }

  async execute(permitted: Permitted, request: RelayRequest): Promise<Executed> {
    const { grant } = permitted.permit
    const conversation = await this.#conversationOf(request, permitted)
    // It was found by the claims of a credential that was not verified yet. The permit says whose call this is.
    if (conversation.owner.grant !== grant)
      throw new ServiceError('invariant_broken', 'the conversation of another grant')
    const { signal } = permitted
    const cut = () => {
      if (errorCode(signal.reason) === 'stream_cut') this.#parts.onCut?.(grant, signal.reason.detail ?? '')
    }
    signal.addEventListener('abort', cut, { once: true })
    // Where something of the answer must be hidden or counted, it leaves on its own stream alone. So does a task, which must be seen.
    const { redact, mostBytes } = permitted.owed
    const mayBegin = conversation.channel.era === 'modern' || asksForTask(request)
    const tasks = mayBegin ? this.#parts.tasksOf?.(conversation) : undefined
    const isResumable = redact.length === 0 && mostBytes === undefined && tasks === undefined
    const begun: { task?: Task | undefined; round?: OpenRound | undefined } = {}
    const about = { server: this.#server, action: permitted.action }
    const rewrite = (text: string, value: JsonObject) => {
      const asked = askedBack(conversation.channel.era, about, value)
      if (asked !== undefined) begun.round = conversation.rounds.open(permitted, asked)
      const state = taskBegun(conversation.channel.era, value)
      if (state !== undefined) begun.task = tasks?.begin(state, permitted)
      return text
    }
    const make = () =>
      conversation.channel.exchange(request, signal, tasks && rewrite, { isDecided: true, isResumable })
    const { share } = this.#parts
    const goesOn: Executed['goesOn'] = ({ egress_bytes = 0, status }) => {
      begun.task?.answered(egress_bytes)
      if (begun.round === undefined) return begun.task?.effect
      if (status !== 'unknown') return Promise.resolve({ status: 'continued' })
      // Its client may not have the questions.
      conversation.rounds.forget(begun.round)
      return undefined
    }
    try {
      const executed = await (share === undefined ? make() : share(conversation.owner.agent, signal, make))
      return tasks === undefined ? executed : { ...executed, goesOn }
    } catch (error) {
      // Its client never learns of it, and its outcome is reported now.
      begun.task?.end()
      if (begun.round !== undefined) conversation.rounds.forget(begun.round)
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Conversations are the server's, and end with it.
  }
}

/**
 * Whether the client asked for a task. In the modern era a server may answer with one unasked; in the legacy era any other result may have a
 * member `task`.
 */
function asksForTask(request: RelayRequest): boolean {
  if (request.method !== 'POST') return false
  const received = readReceived(request)
  return !('refused' in received) && mayBeTask(received.era, received.message)
}
