import type { Action } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { after } from '@bailiwick/kit'
import { isObject, type JsonObject, type McpRequest } from '@bailiwick/mcp'
import type { Agent } from '../agent.ts'
import { toolServerAt } from '../tool-server.ts'
import { type ClientAnswer, isJson, parsed, wholeOf } from './answers.ts'
import { denialCodeIn, endsTask } from './denied.ts'
import { forwardedFields, returnedFields } from './fields.ts'

export interface Sending {
  grantId: string | undefined
  action?: Action | undefined
  /** The gateway's name of the session. */
  session?: string | undefined
  signal: AbortSignal
}

/** One server at the gateway, called as an agent. */
export interface Gateway {
  /** The server's name in the registry. Throws `service_unreachable` if the gateway cannot be asked. */
  toolServer(): Promise<string>
  /** Sends a request as it is. Rejects with the errors of `Agent.fetch`. */
  send(request: McpRequest, sending: Sending): Promise<ClientAnswer>
  /** Sends a client's `initialize`. */
  begin(request: McpRequest, sending: Sending): Promise<{ answer: ClientAnswer; session: string | undefined }>
  /**
   * Begins a session with what a client said earlier. Throws `upstream_failed` if the server does not begin one,
   * `access_request_refused` if the gateway denies it because the task is over, and `BeginDenied` for any other denial.
   */
  beginAgain(params: JsonObject, sending: Sending): Promise<string | undefined>
}

const beginning = { tries: 25, ms: 200 }

export function gatewayAt({
  agent,
  gateway,
  server,
  toolServer,
}: {
  agent: Pick<Agent, 'fetch'>
  gateway: string
  server: string
  toolServer?: string
}): Gateway {
  const base = gateway.replace(/\/+$/, '')
  const url = new URL(`${base}/mcp/${encodeURIComponent(server)}`)
  const registered = toolServerAt(url)

  async function fetched(request: McpRequest, { grantId, action, session, signal }: Sending): Promise<Response> {
    const { method, body } = request
    const headers = forwardedFields(request.headers)
    if (session !== undefined) headers.set('mcp-session-id', session)
    return agent.fetch(
      url,
      { method, headers, signal, ...(body.length === 0 ? {} : { body: Uint8Array.from(body) }) },
      {
        ...(grantId === undefined ? {} : { grant: { grantId } }),
        ...(action && { action: action.name, properties: action.properties, resource: action.resource }),
      },
    )
  }

  /** Waits for what passes: the decision point may learn of a new grant and its credential a moment after the agent. */
  const begin: Gateway['begin'] = async (request, sending) => {
    for (let tries = 1; ; tries++) {
      const response = await fetched(request, sending)
      const answer = await answerOf(response)
      const session = response.headers.get('mcp-session-id') ?? undefined
      if (!isPassing(answer) || tries === beginning.tries) return { answer, session }
      await after(beginning.ms, sending.signal)
    }
  }

  return {
    toolServer: async () => toolServer ?? registered.name(),
    async send(request, sending) {
      const answer = await answerOf(await fetched(request, sending))
      if (denialCodeIn(answer) === 'proof_action_mismatch') registered.forget()
      return answer
    },
    begin,
    async beginAgain(params, sending) {
      const { answer, session } = await begin(
        own({ id: 'bailiwick-initialize', method: 'initialize', params }),
        sending,
      )
      const body = await wholeOf(answer.body)
      const denied = denialCodeIn(answer)
      if (denied !== undefined && endsTask(denied)) throw new ServiceError('access_request_refused', denied)
      if (denied !== undefined) throw new BeginDenied({ ...answer, body })
      const isError = isJson(answer) && parsed(body.toString('utf8'))?.error !== undefined
      if (answer.status >= 300 || isError) throw new ServiceError('upstream_failed', 'the server began no session')
      await (await fetched(own({ method: 'notifications/initialized' }), { ...sending, session })).body?.cancel()
      return session
    },
  }
}

/** The gateway denied that a session begins. */
export class BeginDenied extends Error {
  readonly #answer: ClientAnswer & { body: Buffer }

  constructor(answer: ClientAnswer & { body: Buffer }) {
    super('denied')
    this.#answer = answer
  }

  /** The denial, in answer to a request of the client. */
  answerTo(id: string | number): ClientAnswer {
    const denial = parsed(this.#answer.body.toString('utf8'))
    return { ...this.#answer, body: Buffer.from(JSON.stringify({ ...denial, id })) }
  }
}

/** Whether the gateway denied for a reason that passes by itself. */
function isPassing(answer: ClientAnswer): boolean {
  if (denialCodeIn(answer) === undefined || !(answer.body instanceof Uint8Array)) return false
  const { error } = parsed(Buffer.from(answer.body).toString('utf8')) ?? {}
  return isObject(error) && isObject(error.data) && error.data.retry_after !== undefined
}

/** A message of the sidecar's own. */
const own = (message: object): McpRequest => ({
  method: 'POST',
  headers: ['content-type', 'application/json', 'accept', 'application/json, text/event-stream'],
  body: Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message })),
})

/** 401 would send a client to log in, which it cannot. The message says what is wrong. */
async function answerOf(response: Response): Promise<ClientAnswer> {
  const headers = returnedFields(response.headers)
  const answer = { status: response.status, headers, body: response.body ?? Buffer.alloc(0) }
  if (!isJson(answer)) return answer
  return { ...answer, status: response.status === 401 ? 200 : response.status, body: await wholeOf(answer.body) }
}
