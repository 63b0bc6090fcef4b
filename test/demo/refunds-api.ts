import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Refund {
  invoice: string
  amount: string
  currency: string
}

/** A small API with a key. It knows nothing of Bailiwick. */
export interface RefundsApi extends AsyncDisposable {
  readonly url: string
  readonly key: string
  readonly refunds: readonly Refund[]
  /** How many clients follow its refunds now. */
  readonly followers: number
}

export async function startRefundsApi(): Promise<RefundsApi> {
  const key = 'key-of-the-refunds-0123456789'
  const refunds: Refund[] = []
  let followers = 0
  const server = createServer(async (request, response) => {
    const { method, url, headers } = request
    if (headers.authorization !== `Bearer ${key}`) return void response.writeHead(401).end()
    if (method === 'POST' && url === '/refunds') {
      refunds.push(await jsonIn(request))
      return void response.writeHead(201, { 'content-type': 'application/json' }).end('{"paid":true}')
    }
    if (method !== 'GET' || url !== '/refunds/changes') return void response.writeHead(404).end()
    followers++
    response.on('close', () => followers--)
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': follow the refunds\n\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    ...{ key, refunds, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` },
    get followers() {
      return followers
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function jsonIn(request: IncomingMessage): Promise<Refund> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return JSON.parse(Buffer.concat(chunks).toString())
}
