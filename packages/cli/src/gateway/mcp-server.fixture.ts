import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What the server says of itself: a test changes it while it runs. */
export interface Said {
  instructions?: string
  tools: Record<string, unknown>[]
}

/** A server of tools of revision 2026-07-28 by hand, which only describes itself. */
export async function mcpServer(said: Said): Promise<AsyncDisposable & { url: string; asked: string[] }> {
  const asked: string[] = []
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const part of request) text += part
    const { id, method } = JSON.parse(text)
    asked.push(method)
    const results: Record<string, object> = {
      'server/discover': {
        supportedVersions: ['2026-07-28'],
        capabilities: { tools: {} },
        instructions: said.instructions,
      },
      'tools/list': { tools: said.tools },
    }
    const result = { resultType: 'complete', ...results[method] }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id, result }))
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    asked,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  }
}
