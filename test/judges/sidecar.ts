import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import type { Agent, GrantName } from '@bailiwick/agent'
import type { Action } from '@bailiwick/credentials'
import { errorCode } from '@bailiwick/errors'

export interface SidecarOptions {
  agent: Pick<Agent, 'fetch'>
  /** The gateway's public address. A request keeps its path. */
  gateway: string
  /** The grant that requests are made under. Undefined: they are made without a credential, and the gateway says what to do. */
  grant: () => GrantName | undefined
  /** The action that a request stands for, as the gateway maps it; undefined if it stands for none. */
  actionOf: (request: {
    method: string
    target: string
    headers: readonly string[]
    body: Uint8Array
  }) => Action | undefined
}

/** Longest content of a request. */
const mostBytes = 4 * 1024 * 1024

/** Fields of one hop, fields that `fetch` makes itself, and those that only the sidecar may set. */
const notForwarded = new Set(
  'connection keep-alive proxy-connection te trailer transfer-encoding upgrade expect host origin content-length accept-encoding authorization dpop bailiwick-call-id'.split(
    ' ',
  ),
)
const notReturned = new Set('connection keep-alive transfer-encoding content-length content-encoding date'.split(' '))

/**
 * `bailiwick agent mcp` without its own tools, so that what differs behind it is the gateway's doing. It listens on this machine alone, and
 * passes each request on to the gateway with the agent's credential, a proof of its key and a signature over the action.
 *
 * A web page that the user visits can reach this port too, so a request with the name or the origin of another host is refused.
 */
export async function startSidecar(options: SidecarOptions): Promise<{ url: string } & AsyncDisposable> {
  const server = createServer((request, response) => {
    forward(options, request, response).catch((error: unknown) => {
      if (!response.headersSent) return answer(response, 502, idIn(undefined), errorCode(error))
      response.destroy()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}

async function forward(options: SidecarOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = 'GET', url: target = '/', headers, rawHeaders } = request
  const stranger = strangerIn(headers)
  if (stranger !== undefined) return answer(response, 403, null, stranger)
  const body = await contentOf(request)
  if (body === undefined) return answer(response, 413, null, 'body_too_large')
  const left = new AbortController()
  response.on('close', () => left.abort())
  const grant = options.grant()
  const action = options.actionOf({ method, target, headers: rawHeaders, body })
  let answered: Response
  try {
    answered = await options.agent.fetch(
      new URL(target, options.gateway),
      { method, headers: forwarded(rawHeaders), signal: left.signal, ...(body.length === 0 ? {} : { body }) },
      {
        ...(grant && { grant }),
        ...(action && { action: action.name, properties: action.properties, resource: action.resource }),
      },
    )
  } catch (error) {
    if (left.signal.aborted) return
    return answer(response, 502, idIn(body), errorCode(error))
  }
  const kept = [...answered.headers].filter(([name]) => !notReturned.has(name))
  response.writeHead(answered.status, Object.fromEntries(kept))
  response.flushHeaders() // a stream may say nothing for long
  if (answered.body === null) return void response.end()
  await pipeline(answered.body, response).catch(() => response.destroy()) // cut here as it was cut there
}

const here = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/

/** What names another host than this machine, if anything does. */
function strangerIn({ host = '', origin }: IncomingMessage['headers']): string | undefined {
  if (!here.test(host)) return `Invalid Host: ${host}`
  if (origin !== undefined && !here.test(origin.replace(/^https?:\/\//, ''))) return `Invalid Origin: ${origin}`
  return undefined
}

async function contentOf(request: IncomingMessage): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request) {
    length += chunk.length
    if (length > mostBytes) return undefined
    chunks.push(chunk)
  }
  return Uint8Array.from(Buffer.concat(chunks))
}

/** Each field as often as it came. */
function forwarded(rawHeaders: readonly string[]): Headers {
  const headers = new Headers({ 'accept-encoding': 'identity' })
  for (let n = 0; n < rawHeaders.length; n += 2) {
    const [name = '', value = ''] = rawHeaders.slice(n, n + 2)
    if (!notForwarded.has(name.toLowerCase())) headers.append(name, value)
  }
  return headers
}

/** The sidecar's own refusal, in the form that an MCP client reads. */
function answer(response: ServerResponse, status: number, id: string | number | null, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ jsonrpc: '2.0', error: { code: -32000, message }, id }))
}

function idIn(body: Uint8Array | undefined): string | number | null {
  try {
    return JSON.parse(Buffer.from(body ?? []).toString()).id ?? null
  } catch {
    return null
  }
}
