import { createServer, type IncomingMessage } from 'node:http'
import { paths } from '@bailiwick/installation'

export interface Call {
  method: string
  path: string
  body: unknown
}

/** The answer of a route of the test's operator: JSON with 200, unless it says otherwise. */
export type Answering = (call: Call) => { status?: number; body: unknown } | 'hang up'

/** Listens on the operator socket of a data directory, or on another, like a running service. */
export async function operatorAt(
  data: string,
  answer: Answering,
  socket = paths(data).operatorSocket,
): Promise<AsyncDisposable & { calls: Call[] }> {
  const calls: Call[] = []
  const server = createServer(async (request, response) => {
    const text = await textOf(request)
    const call = {
      method: request.method ?? '',
      path: request.url ?? '',
      body: text === '' ? undefined : JSON.parse(text),
    }
    calls.push(call)
    const answered = answer(call)
    if (answered === 'hang up') return void request.socket.destroy()
    const { status = 200, body } = answered
    response.writeHead(status, { 'content-type': status < 400 ? 'application/json' : 'application/problem+json' })
    response.end(typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body))
  })
  await new Promise<void>((listening) => server.listen(socket, listening))
  return {
    calls,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const part of request) text += part
  return text
}
