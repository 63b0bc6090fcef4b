import { errorCode, ServiceError } from '@bailiwick/errors'
import { after } from '@bailiwick/kit'
import type { McpRequest } from '@bailiwick/mcp'
import type { Agent } from '../agent.ts'
import { problemAnswer } from './answers.ts'
import { forwardedFields, returnedFields } from './fields.ts'
import type { LocalPlace } from './loopback.ts'
import { underFirst } from './under-first.ts'

export interface RelayPlaceOptions {
  agent: Pick<Agent, 'fetch'>
  /** What requests go to, without a slash at the end: `https://gateway.example/http/erp`. */
  address: string
  /**
   * The grants that a request may be made under, asked for each request: the first one that covers it counts. Only the gateway knows which
   * action a request is, so the next one is tried where the gateway itself denied that one.
   */
  grants: () => readonly string[]
  /** How long a call may be repeated, in ms: 0 for providers of models, whose clients repeat by themselves. */
  patienceMs?: number
  /** The longest content of a request, which is what the gateway reads. */
  mostBytes: number
}

const codeOf = ({ headers }: Response): string | undefined => headers.get('bailiwick-denied') ?? undefined

/** The decision point may learn of a grant and its credential a moment after the agent. */
const beginning = { tries: 25, ms: 200 }

/**
 * A place at the gateway, an HTTP API or a provider of models, for a client that knows nothing of Bailiwick. Each request goes on as it is,
 * with the agent's credential and a proof for its method and address. The action is not signed: only the gateway knows how this API names
 * it, so policies see that the gateway asserts it.
 */
export function relayPlace({ agent, address, grants, patienceMs, mostBytes }: RelayPlaceOptions): LocalPlace {
  /** Grants under which something was answered: the decision point knows them. */
  const begun = new Set<string>()

  async function forward(
    request: McpRequest,
    url: URL,
    { grantId, signal }: { grantId: string; signal: AbortSignal },
  ): Promise<Response> {
    const { method, headers, body } = request
    for (let tries = 1; ; tries++) {
      const response = await agent.fetch(
        url,
        {
          ...{ method, headers: forwardedFields(headers), signal },
          ...(body.length === 0 ? {} : { body: Uint8Array.from(body) }),
        },
        { grant: { grantId }, ...(patienceMs === undefined ? {} : { patienceMs }) },
      )
      // Nothing was done: the gateway itself denied, and says when to ask again. An API's own 503 must not be repeated here.
      const isPassing = response.headers.has('bailiwick-denied') && response.headers.has('retry-after')
      if (begun.has(grantId) || !isPassing || tries === beginning.tries) {
        if (response.ok) begun.add(grantId)
        return response
      }
      await response.body?.cancel()
      await after(beginning.ms, signal)
    }
  }

  return {
    methods: new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']),
    mostBytes,
    hasPaths: true,
    async exchange(request, rest, signal) {
      const wanted = `${address}${rest}`
      const url = URL.canParse(wanted) ? new URL(wanted) : undefined
      // `fetch` writes a target in its own way. One that it would change is refused: what is decided must be what was sent.
      if (url?.href !== wanted || url.hash !== '') return problemAnswer('target_form_forbidden', 'the path')
      if (request.body.length > 0 && ['GET', 'HEAD'].includes(request.method))
        return problemAnswer('request_malformed', 'a body that the method does not have')
      try {
        const response = await underFirst(grants(), {
          ...{ codeOf, signal, drop: ({ body }: Response) => body?.cancel() },
          attempt: (grantId) => forward(request, url, { grantId, signal }),
        })
        // To most clients 401 says that their own key is wrong. They have none.
        const status = response.status === 401 ? 403 : response.status
        const headers = headersHere(response.headers, new URL(address).pathname, rest)
        return { status, headers: returnedFields(headers), body: response.body ?? Buffer.alloc(0) }
      } catch (error) {
        signal.throwIfAborted()
        const detail = error instanceof ServiceError ? error.detail : undefined
        return problemAnswer(errorCode(error), detail)
      }
    },
  }
}

/**
 * The fields of an answer as they hold here. A `location` at this place of the gateway becomes relative to the request, because the client
 * knows the place by another address. `rest`: the target of the request, after the name of the place.
 */
function headersHere(from: Headers, path: string, rest: string): Headers {
  const location = from.get('location')
  if (location === null || !location.startsWith(`${path}/`) || !rest.startsWith('/')) return from
  const headers = new Headers(from)
  const [asked = ''] = rest.split('?')
  const up = '../'.repeat(asked.split('/').length - 2)
  headers.set('location', `./${up}${location.slice(path.length + 1)}`)
  return headers
}
