import { errorCode, errorKinds } from '@bailiwick/errors'
import { answerAction, eventWith, isId, isObject, type McpRequest, memberSpan, readEvents } from '@bailiwick/mcp'
import { type ClientAnswer, errorAnswer, isStream, longestMessage, parsed, refusedAnswer } from './answers.ts'
import { denialCodeIn } from './denied.ts'
import type { Gateway } from './gateway.ts'

/** A session at the gateway, and the grant that it is of. */
export interface Behind {
  readonly grantId: string
  /** Undefined for a server without sessions. */
  readonly id: string | undefined
}

/** A request of a server to its client, which the gateway let pass. */
interface ServerAsk {
  /** The server's own id of it. */
  readonly id: string | number
  readonly method: string
  readonly behind: Behind
}

const mostWaiting = 64

/**
 * What servers ask of the client in one of its sessions. The client sees each request under an id of ours: the next task has another session
 * behind it, in which the server counts from the beginning, and an answer to one server must never answer another.
 */
export class ServerAsks {
  readonly #waiting = new Map<string, ServerAsk>()
  #last = 0

  /** The gateway's answer as the client gets it. */
  shown(answer: ClientAnswer, behind: Behind | undefined): ClientAnswer {
    const { body } = answer
    if (behind === undefined || !isStream(answer) || body instanceof Uint8Array) return answer
    return { ...answer, body: this.#renamed(body, behind) }
  }

  async *#renamed(body: AsyncIterable<Uint8Array>, behind: Behind): AsyncGenerator<Uint8Array> {
    for await (const event of readEvents(body, longestMessage)) {
      const text = event.data && this.#rename(event.data, behind)
      yield text === undefined || text === event.data ? event.raw : eventWith(event, text)
    }
  }

  #rename(text: string, behind: Behind): string {
    const { id, method, params } = parsed(text) ?? {}
    if (typeof method !== 'string') return text
    if (isId(id)) {
      const name = `bailiwick-${++this.#last}`
      this.#waiting.set(name, { id, method, behind })
      for (const oldest of this.#waiting.keys()) if (this.#waiting.size > mostWaiting) this.#waiting.delete(oldest)
      return withValue(text, ['id'], name)
    }
    // The server takes a request back.
    if (method !== 'notifications/cancelled' || !isObject(params)) return text
    for (const [name, ask] of this.#waiting) {
      if (ask.id !== params.requestId || ask.behind !== behind) continue
      this.#waiting.delete(name)
      return withValue(text, ['params', 'requestId'], name)
    }
    return text
  }

  /**
   * Sends the client's answer to the server that asked. An answer is an action: the agent signs it, and the gateway decides on it, under the
   * grant of the session in which the server asked. One that was denied may be given again; the gateway may have answered the server itself.
   */
  async answer(
    { id, request, signal }: { id: string | number | undefined; request: McpRequest; signal: AbortSignal },
    {
      gateway,
      onDenied,
    }: { gateway: Gateway; onDenied: (code: string, ask: { method: string; grantId: string }) => void },
  ): Promise<ClientAnswer> {
    const ask = typeof id === 'string' ? this.#waiting.get(id) : undefined
    if (typeof id !== 'string' || ask === undefined) return responseToNothing()
    const { grantId, id: session } = ask.behind
    const body = Buffer.from(withValue(Buffer.from(request.body).toString('utf8'), ['id'], ask.id))
    const sent = { ...request, body }
    try {
      const action = answerAction(await gateway.toolServer(), ask.method, sent)
      if ('refused' in action) return refusedAnswer(action, { id: null, era: 'legacy' })
      const answer = await gateway.send(sent, { grantId, action, session, signal })
      const code = denialCodeIn(answer)
      if (code === undefined) this.#waiting.delete(id)
      else onDenied(code, { method: ask.method, grantId })
      return code === undefined ? answer : { ...answer, status: 403 }
    } catch (error) {
      const code = errorCode(error)
      onDenied(code, { method: ask.method, grantId })
      return errorAnswer(502, null, -32603, errorKinds[code].title, { code })
    }
  }
}

/** An answer to what no server asked, or asked in another session. */
export const responseToNothing = (): ClientAnswer =>
  refusedAnswer({ refused: 'mcp_message_malformed', detail: 'a response to nothing' }, { id: null, era: 'legacy' })

/** The text with another value at this path, where there is one. All other characters stay as they are. */
function withValue(text: string, path: readonly string[], value: unknown): string {
  const span = memberSpan(text, path)
  return span === undefined ? text : `${text.slice(0, span.start)}${JSON.stringify(value)}${text.slice(span.end)}`
}
