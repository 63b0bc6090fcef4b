import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Received {
  body: string
  signature: string
}

export interface Webhook extends AsyncDisposable {
  url: string
  received: Received[]
  /** How it answers the next posts. The default is 204. */
  answer: (response: ServerResponse, nth: number) => void
}

/** A webhook on this machine, standing in for a foreign one. Keeps what it receives, however it answers. */
export async function aWebhook(): Promise<Webhook> {
  const received: Received[] = []
  const hook: Webhook = {
    url: '',
    received,
    answer: (response) => void response.writeHead(204).end(),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      const closed = Promise.withResolvers<void>()
      server.close(() => closed.resolve())
      await closed.promise
    },
  }
  const server = createServer(async (request: IncomingMessage, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const signature = String(request.headers['bailiwick-signature'])
    received.push({ body: Buffer.concat(chunks).toString(), signature })
    response.on('error', () => undefined)
    hook.answer(response, received.length)
  })
  const listening = Promise.withResolvers<void>()
  server.listen(0, '127.0.0.1', listening.resolve)
  await listening.promise
  hook.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
  return hook
}
