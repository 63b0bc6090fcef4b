import { errorCode, errorKinds } from '@bailiwick/errors'
import { after } from '@bailiwick/kit'
import { type Era, isId, type McpRequest, type Message, metaOf } from '@bailiwick/mcp'
import { type ClientAnswer, errorAnswer, eventOf, eventsOf } from './answers.ts'
import type { Asked } from './tasks.ts'

/** A request of the client. */
export interface Call {
  readonly message: Extract<Message, { kind: 'request' }>
  readonly era: Era
  readonly request: McpRequest
  /** Aborted when the client has gone, or cancelled it. */
  readonly signal: AbortSignal
}

/** Clients give a call up after a minute. */
export const longestHoldSeconds = 55
/** How often a client hears that a human still decides. Clients close a connection that is silent for long. */
const progressMs = 3000

interface Held {
  call: Call
  asked: Asked
  /** Where the human decides. */
  url: string
  holdMs: number
}

/** Keeps the answer open while a human decides, for `holdMs` at most, and then gives `then`. */
export async function held(hold: Held, then: () => Promise<ClientAnswer>): Promise<ClientAnswer> {
  if (hold.holdMs === 0 || hold.asked.state.status !== 'pending') return then()
  return { status: 200, headers: ['content-type', 'text/event-stream'], body: holding(hold, then) }
}

async function* holding(
  { call, asked, url, holdMs }: Held,
  then: () => Promise<ClientAnswer>,
): AsyncGenerator<Uint8Array> {
  const { message, signal } = call
  const { progressToken } = metaOf(message.params)
  let ms = 0
  for (let progress = 1; asked.state.status === 'pending' && ms < holdMs; progress++) {
    const params = { progressToken, progress, message: `A human decides at ${url}` }
    // Without a token the client did not ask to be told, and a comment keeps the connection.
    yield isId(progressToken)
      ? eventOf(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/progress', params }))
      : Buffer.from(': a human decides\n\n')
    const part = Math.min(progressMs, holdMs - ms)
    const waited = new AbortController()
    await Promise.race([asked.answered, after(part, AbortSignal.any([signal, waited.signal])).catch(() => undefined)])
    waited.abort()
    signal.throwIfAborted()
    ms += part
  }
  const answer = await then().catch((error: unknown) => {
    const code = errorCode(error)
    return errorAnswer(200, message.id, -32603, errorKinds[code].title, { code })
  })
  yield* eventsOf(answer)
}
