// An MCP server in which each requirement of both protocol revisions can be exercised: the names and answers are those that the
// scenarios of @modelcontextprotocol/conformance ask for. It stands alone (plain .mjs): its packages are outside the root's lock.
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  completable,
  createMcpHandler,
  hostHeaderValidationResponse,
  isLegacyRequest,
  localhostAllowedHostnames,
  localhostAllowedOrigins,
  McpServer,
  originValidationResponse,
  ResourceTemplate,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server'
import { z } from 'zod'
import { registerInputTools, requestState } from './fixture-input-tools.mjs'
import { image, registerTools, text } from './fixture-tools.mjs'

const host = '127.0.0.1'

/** One server of the fixture: a connection's in the older revision, a request's in the newer. */
function fixture(notify) {
  const server = new McpServer(
    { name: 'bailiwick-conformance-fixture', version: '1.0.0' },
    {
      capabilities: {
        logging: {},
        completions: {},
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { listChanged: true, subscribe: true },
      },
      instructions: 'A server for conformance tests.',
      requestState: { verify: requestState.verify },
    },
  )
  registerTools(server, notify)
  registerInputTools(server)
  registerPrompts(server)
  registerResources(server)
  return server
}

function registerPrompts(server) {
  const user = (content) => ({ role: 'user', content })
  server.registerPrompt('test_simple_prompt', { description: 'A prompt without arguments' }, () => ({
    messages: [user(text('This is a simple prompt for testing.'))],
  }))
  server.registerPrompt(
    'test_prompt_with_arguments',
    {
      description: 'A prompt with two arguments',
      argsSchema: z.object({
        arg1: completable(z.string(), (value) => ['test', 'testValue1'].filter((word) => word.startsWith(value))),
        arg2: z.string(),
      }),
    },
    ({ arg1, arg2 }) => ({ messages: [user(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`))] }),
  )
  server.registerPrompt(
    'test_prompt_with_embedded_resource',
    { description: 'A prompt that embeds a resource', argsSchema: z.object({ resourceUri: z.string() }) },
    ({ resourceUri }) => ({
      messages: [
        user({
          type: 'resource',
          resource: { uri: resourceUri, mimeType: 'text/plain', text: 'Embedded resource content for testing.' },
        }),
        user(text('Please process the embedded resource above.')),
      ],
    }),
  )
  server.registerPrompt('test_prompt_with_image', { description: 'A prompt with an image' }, () => ({
    messages: [user(image), user(text('Please analyze the image above.'))],
  }))
}

function registerResources(server) {
  const plain = { description: 'A text', mimeType: 'text/plain' }
  const cached = { ...plain, cacheHint: { ttlMs: 1000, cacheScope: 'public' } }
  server.registerResource('static-text', 'test://static-text', cached, (uri) => ({
    contents: [{ uri: uri.href, mimeType: 'text/plain', text: 'This is the content of the static text resource.' }],
  }))
  server.registerResource('static-binary', 'test://static-binary', { mimeType: 'image/png' }, (uri) => ({
    contents: [{ uri: uri.href, mimeType: 'image/png', blob: image.data }],
  }))
  server.registerResource('watched', 'test://watched-resource', plain, (uri) => ({
    contents: [{ uri: uri.href, mimeType: 'text/plain', text: 'Watched resource content' }],
  }))
  server.registerResource('embedded', 'test://example-resource', plain, (uri) => ({
    contents: [{ uri: uri.href, mimeType: 'text/plain', text: 'Embedded resource content for testing.' }],
  }))
  server.registerResource(
    'template',
    new ResourceTemplate('test://template/{id}/data', { list: undefined }),
    { description: 'A resource with a parameter', mimeType: 'application/json' },
    (uri, { id }) => ({
      contents: [
        {
          uri: uri.href,
          mimeType: 'application/json',
          text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }),
        },
      ],
    }),
  )
  // The older revision's; the newer one has subscriptions/listen, and the SDK answers these with "method not found".
  server.server.setRequestHandler('resources/subscribe', () => ({}))
  server.server.setRequestHandler('resources/unsubscribe', () => ({}))
}

/** Keeps what was sent on streams, so that a client that lost one reads on where it was. */
function eventStore() {
  const events = []
  return {
    async storeEvent(streamId, message) {
      events.push({ streamId, message })
      return `${streamId}_${events.length - 1}`
    },
    async replayEventsAfter(lastEventId, { send }) {
      const last = Number(lastEventId.slice(lastEventId.lastIndexOf('_') + 1))
      const { streamId } = events[last]
      for (const [index, event] of events.entries()) {
        // An event without a method and without an id only primes the stream.
        if (index > last && event.streamId === streamId && event.message.jsonrpc)
          await send(`${streamId}_${index}`, event.message)
      }
      return streamId
    },
  }
}

/** Sessions of the older revision: the server keeps its side of one for as long as the client does. */
function sessions(notify) {
  const open = new Map()
  return async (request) => {
    const known = request.headers.get('mcp-session-id')
    if (known) {
      const transport = open.get(known)
      if (transport) return transport.handleRequest(request)
      return Response.json(
        { jsonrpc: '2.0', error: { code: -32001, message: 'Session not found' }, id: null },
        { status: 404 },
      )
    }
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      eventStore: eventStore(),
      retryInterval: 100,
      onsessioninitialized: (id) => void open.set(id, transport),
      onsessionclosed: (id) => void open.delete(id),
    })
    await fixture(notify).connect(transport)
    return transport.handleRequest(request)
  }
}

/** Starts the fixture on a port of this machine and gives its address. */
export async function startFixture(port = 0) {
  const notify = {
    tools: () => modern.notify.toolsChanged(),
    prompts: () => modern.notify.promptsChanged(),
  }
  const modern = createMcpHandler(() => fixture(notify), { legacy: 'reject' })
  const legacy = sessions(notify)
  const answer = async (request) =>
    hostHeaderValidationResponse(request, localhostAllowedHostnames()) ??
    originValidationResponse(request, localhostAllowedOrigins()) ??
    ((await isLegacyRequest(request)) ? legacy(request) : modern.fetch(request))

  const http = createServer(async (incoming, outgoing) => {
    const left = new AbortController()
    outgoing.on('close', () => left.abort())
    const body = incoming.method === 'POST' ? { body: Readable.toWeb(incoming), duplex: 'half' } : {}
    const response = await answer(
      new Request(`http://${host}${incoming.url}`, {
        method: incoming.method,
        headers: incoming.headers,
        signal: left.signal,
        ...body,
      }),
    )
    outgoing.writeHead(response.status, Object.fromEntries(response.headers))
    if (!response.body) return outgoing.end()
    outgoing.flushHeaders()
    await pipeline(Readable.fromWeb(response.body), outgoing).catch(() => {}) // the client may leave at any time
  })
  await new Promise((listening) => http.listen(port, host, listening))
  return {
    url: `http://${host}:${http.address().port}/mcp`,
    close: () => {
      http.closeAllConnections()
      http.close()
    },
  }
}

if (import.meta.main) console.log((await startFixture(Number(process.argv[2] ?? 0))).url)
