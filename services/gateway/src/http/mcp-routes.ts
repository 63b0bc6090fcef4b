import { once } from 'node:events'
import { gatewayRoutes } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import type { HttpReply, HttpRequest, HttpServer } from '@bailiwick/host'
import { checkHead, type Refused, requestOf } from '@bailiwick/relay'
import { type Answer, denialAnswer, refusedAnswer } from '../mcp/answers.ts'
import type { McpServers } from '../mcp/mcp-servers.ts'
import type { RouteOptions } from './decide-at.ts'
import { mayBeSilent, never, refuseOrigin } from './request-rules.ts'
import { describeResources, metadataPath } from './resource-metadata.ts'

const { sendMcpMessage, openMcpStream, endMcpSession, describeMcpServer } = gatewayRoutes

type Servers = Pick<McpServers, 'has' | 'toolServer' | 'post' | 'get' | 'delete'>

/** The longest message of a client. */
const bodyLimit = 1024 * 1024

/** `/mcp/<name>`: MCP over streamable HTTP, and the metadata of each server as a protected resource (RFC 9728). */
export function mcpRoutes(http: HttpServer, servers: Servers, { publicUrl, issuer, origins }: RouteOptions): void {
  const { origin } = new URL(publicUrl)
  const nameOf = (request: HttpRequest): string => {
    const { name } = request.params as { name: string }
    if (!servers.has(name)) throw new ServiceError('route_unknown')
    return name
  }
  const config = { accepts: 'anything', handlerMs: never } as const

  http.route({
    method: [sendMcpMessage, openMcpStream, endMcpSession].map(({ method }) => method),
    url: sendMcpMessage.path,
    exposeHeadRoute: false,
    config,
    bodyLimit,
    async handler(request, reply) {
      const name = nameOf(request)
      refuseOrigin(request, new Set([origin, ...origins()]))
      const gone = goneSignal(reply)
      const answered = await answer(name, request, gone)
      // A new file may have taken the server away since.
      if (answered === undefined) throw new ServiceError('route_unknown')
      return sendAnswer(request, reply, answered, gone)
    },
  })

  const answer = async (name: string, request: HttpRequest, gone: AbortController): Promise<Answer | undefined> => {
    const { rawHeaders, method = '', url: target = '' } = request.raw
    const refused = (why: Refused) => refusedAnswer(why, { id: null, era: 'modern' })
    if (target !== `/mcp/${name}`)
      return refused({ refused: 'target_form_forbidden', detail: 'a path without a query' })
    const head = checkHead({ method, target, rawHeaders }, publicUrl)
    if ('refused' in head) return refused(head)
    if ('ok' in head) {
      const metadataUrl = `${publicUrl}${metadataPath}/mcp/${name}`
      return denialAnswer({ allowed: false, reason: head.reason }, { id: null, asResult: false, metadataUrl })
    }
    const body = request.rawBody ?? Buffer.alloc(0)
    if (method === 'POST' && !isJson(rawHeaders))
      return refused({ refused: 'content_type_unsupported', detail: 'application/json' })
    if (method !== 'POST' && body.length > 0) return refused({ refused: 'mcp_message_malformed', detail: 'a body' })
    const relayed = requestOf(head, body)
    if (method === 'POST') return servers.post(name, relayed, head.caller, gone.signal)
    if (method === 'GET') return servers.get(name, relayed, head.caller, gone.signal)
    return servers.delete(name, relayed, head.caller)
  }

  describeResources(http, describeMcpServer.path, issuer, (name) =>
    servers.has(name) ? { address: `${publicUrl}/mcp/${name}`, toolServer: servers.toolServer(name) } : undefined,
  )
}

/** Reads the field as received: the header of the parsed request was replaced, so that the body is not read before this check. */
function isJson(rawHeaders: readonly string[]): boolean {
  const types = rawHeaders.filter((_, n) => n % 2 === 1 && rawHeaders[n - 1]?.toLowerCase() === 'content-type')
  return types.length === 1 && /^application\/json( *; *charset="?utf-8"?)?$/i.test(types[0] ?? '')
}

function goneSignal(reply: HttpReply): AbortController {
  const gone = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort(new ServiceError('stream_cut', 'the client went away'))
  })
  return gone
}

/** A whole answer is sent in the usual way. A stream begins at once, and each part is sent as it arrives. */
async function sendAnswer(
  request: HttpRequest,
  reply: HttpReply,
  { status, headers, body, isVerified, over }: Answer,
  gone: AbortController,
) {
  for (let n = 0; n < headers.length; n += 2) reply.header(headers[n] ?? '', headers[n + 1] ?? '')
  reply.code(status)
  if (isVerified) request.callerVerified()
  if (body instanceof Uint8Array) return reply.send(Buffer.from(body))
  const type = reply.getHeader('content-type')
  if (!/^text\/event-stream/.test(String(type))) return reply.send(await wholeOf(body))
  reply.hijack()
  const { raw } = reply
  mayBeSilent(request, reply)
  raw.writeHead(status, reply.getHeaders() as Record<string, string>)
  raw.flushHeaders()
  // A client that does not read must not keep a call that was cut.
  const left = AbortSignal.any([gone.signal, aborted(over)])
  try {
    for await (const chunk of body) {
      if (gone.signal.aborted) break
      if (!raw.write(chunk)) await once(raw, 'drain', { signal: left }).catch(() => undefined)
    }
    raw.end()
  } catch {
    // The stream was cut, so its connection is too: a part must not be mistaken for the whole.
    raw.destroy()
  }
  return reply
}

function aborted(over: Promise<unknown> = new Promise(() => undefined)): AbortSignal {
  const controller = new AbortController()
  void over.then(() => controller.abort())
  return controller.signal
}

async function wholeOf(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}
