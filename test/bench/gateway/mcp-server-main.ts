import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Counts } from './place.ts'

/*
 * A small server of MCP, of the revision without sessions. It does the least that a call needs, so that its own time hardly shows, and
 * counts what reaches it: `GET /counts`. It runs until it is killed.
 */

interface Request {
  id?: string | number
  method: string
  params?: { arguments?: { invoice?: string }; notifications?: { every_ms?: number } }
}

const serverInfo = { name: 'bench', version: '1.0.0' }
const tool = {
  name: 'read',
  description: 'Reads an invoice.',
  inputSchema: { type: 'object', properties: { invoice: { type: 'string' } } },
}
const counts: Counts = { calls: 0, streams: 0, open: 0 }

const server = createServer((request, response) => {
  if (request.method === 'GET') sendJson(response, request.url === '/counts' ? counts : {})
  else void read(request).then((message) => answer(message, response))
})
server.listen(Number(process.env.BAILIWICK_PORT), '127.0.0.1', 4096)

async function read(request: IncomingMessage): Promise<Request> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return JSON.parse(Buffer.concat(chunks).toString('utf8'))
}

function answer({ id, method, params = {} }: Request, response: ServerResponse): void {
  if (method === 'subscriptions/listen') {
    flow(response, params.notifications?.every_ms ?? 1000)
    return
  }
  const result = resultOf(method, params)
  const said = result === undefined ? { error: { code: -32601, message: 'Method not found' } } : { result }
  sendJson(response, { jsonrpc: '2.0', id, ...said })
}

function resultOf(method: string, params: NonNullable<Request['params']>): object | undefined {
  switch (method) {
    case 'server/discover': {
      const _meta = { 'io.modelcontextprotocol/serverInfo': serverInfo }
      return { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: { tools: {} }, _meta }
    }
    case 'tools/list':
      return { resultType: 'complete', tools: [tool], ttlMs: 60_000, cacheScope: 'public' }
    case 'tools/call': {
      counts.calls++
      const text = `The invoice ${params.arguments?.invoice ?? ''} is over 250.00 EUR.`
      return { resultType: 'complete', content: [{ type: 'text', text }], isError: false }
    }
    default:
      return undefined
  }
}

/** A stream that says something now, and then at this interval, until its client has gone. */
function flow(response: ServerResponse, everyMs: number): void {
  counts.streams++
  counts.open++
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  let progress = 0
  const say = () => {
    const params = { progressToken: 'bench', progress: ++progress }
    response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/progress', params })}\n\n`)
  }
  say()
  const timer = setInterval(say, everyMs)
  response.once('close', () => {
    clearInterval(timer)
    counts.open--
  })
}

function sendJson(response: ServerResponse, value: object): void {
  const body = JSON.stringify(value)
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }).end(body)
}
