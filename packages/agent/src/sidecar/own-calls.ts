import { errorCode, errorKinds } from '@bailiwick/errors'
import { isObject, type JsonObject } from '@bailiwick/mcp'
import { type ClientAnswer, errorAnswer, jsonAnswer, resultMessage, toolResult } from './answers.ts'
import type { Call } from './held.ts'
import { accessStatus, completeTask, readAsk, requestAccess } from './own-tools.ts'
import type { Asked, Tasks } from './tasks.ts'

export interface OwnCallsOptions {
  tasks: Tasks
  toolServer: () => Promise<string>
  /** Where a human answers a request. */
  urlOf: (asked: Asked) => string
  /** Keeps a call open while a human decides. */
  hold: (call: Call, asked: Asked, then: () => Promise<ClientAnswer>) => Promise<ClientAnswer>
}

type Say = (text: string, structured: JsonObject, isError?: boolean) => ClientAnswer

/** The tools `bailiwick_…`, which a model calls like any other. None of them decides anything: the human does, on another page. */
export class OwnCalls {
  readonly #at: OwnCallsOptions

  constructor(options: OwnCallsOptions) {
    this.#at = options
  }

  async call(call: Call, name: string): Promise<ClientAnswer> {
    const { message, era } = call
    const { arguments: args = {} } = message.params
    const say = (text: string, structured: JsonObject, isError = false) =>
      jsonAnswer(200, resultMessage(message.id, era, toolResult(text, structured, isError)))
    if (!isObject(args)) return say('arguments: no object', { code: 'request_malformed' }, true)
    try {
      if (name === requestAccess) return await this.#requestAccess(call, args, say)
      if (name === accessStatus) return await this.#status(call, args, say)
      if (name === completeTask) {
        const ended = await this.#at.tasks.complete()
        if (ended === undefined)
          return say('The task was ended before. There was nothing left to end.', { status: 'completed' })
        const { grantId, name: task } = ended
        return say('The task is ended. Its permissions are gone.', { status: 'completed', grant_id: grantId, task })
      }
    } catch (error) {
      const code = errorCode(error)
      const detail = typeof error === 'object' && error !== null && 'detail' in error ? error.detail : undefined
      const said = typeof detail === 'string' ? `${errorKinds[code].title}: ${detail}` : errorKinds[code].title
      return say(`It could not be done (${code}): ${said}.`, { code }, true)
    }
    return errorAnswer(200, message.id, -32602, 'There is no such tool', { code: 'mcp_tool_reserved' })
  }

  async #requestAccess(call: Call, args: JsonObject, say: Say): Promise<ClientAnswer> {
    const ask = readAsk(await this.#at.toolServer(), args)
    if ('fault' in ask) return say(`The request was not made.\n${ask.fault}`, { code: 'request_malformed' }, true)
    const asked = await this.#at.tasks.ask(ask)
    return this.#at.hold(call, asked, async () => this.#told(asked, say))
  }

  async #status(call: Call, { request_id: requestId, ...others }: JsonObject, say: Say): Promise<ClientAnswer> {
    const isKnown = requestId === undefined || typeof requestId === 'string'
    if (!isKnown || Object.keys(others).length > 0)
      return say('arguments: only request_id', { code: 'request_malformed' }, true)
    const asked = this.#at.tasks.find(requestId)
    if (asked !== undefined) return this.#at.hold(call, asked, async () => this.#told(asked, say))
    const task = this.#at.tasks.current
    if (requestId !== undefined || task === undefined)
      return say(`There is no request. Call ${requestAccess}.`, { code: 'access_request_unknown' }, true)
    return say('There is a task. Its tools are in the list of tools.', { status: 'approved', grant_id: task.grantId })
  }

  #told(asked: Asked, say: Say): ClientAnswer {
    const { requestId, name, state } = asked
    const { status, expiresAt, items, grantId } = state
    const url = this.#at.urlOf(asked)
    const structured = { request_id: requestId, status, task: name, url, expires_at: expiresAt, grant_id: grantId }
    const tools = items?.filter((item) => item.grantId !== undefined).map(({ resource }) => resource.id)
    if (status === 'pending')
      return say(
        `Request ${requestId} waits for a human, who answers it at ${url}. Call ${accessStatus} later to learn the answer.`,
        structured,
      )
    if (status === 'approved' || (tools?.length ?? 0) > 0) {
      const which = status === 'approved' ? 'all that you asked for' : tools?.join(', ')
      return say(`Approved: ${which}. Call the tools now. If they are not in your list, list the tools again.`, {
        ...structured,
        ...(tools === undefined ? {} : { tools }),
      })
    }
    return say(`The answer to request ${requestId} is: ${status}. Do not ask for the same again.`, structured, true)
  }
}
