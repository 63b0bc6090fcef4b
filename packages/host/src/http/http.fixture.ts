import { once } from 'node:events'
import { connect } from 'node:net'
import { systemClock } from '@bailiwick/kit'
import { z } from 'zod'
import { Health } from '../observe/health.ts'
import { logger } from '../observe/logger.ts'
import { type Metrics, metrics } from '../observe/metrics.ts'
import { type HttpServerOptions, httpServer } from './http.ts'
import type { HttpServer } from './http-server.ts'

export interface Fixture extends AsyncDisposable {
  server: HttpServer
  health: Health
  metrics: Metrics
  /** Everything logged so far. */
  log(): string
}

/** A server for tests that logs into memory. Routes: POST /echo (JSON), POST /form, POST /jose, GET /items/:id. */
export async function aServer(options: Partial<HttpServerOptions> = {}): Promise<Fixture> {
  const lines: string[] = []
  const health = new Health()
  const meter = metrics({ service: 'test', processMetrics: false })
  const log = logger({ service: 'test', level: 'debug', destination: { write: (line) => void lines.push(line) } })
  const server = await httpServer({ logger: log, clock: systemClock, health, metrics: meter, ...options })

  server.post('/echo', async ({ body, rawBody }) => ({ body, bytes: rawBody?.toString('base64url') }))
  server.post('/form', { config: { accepts: ['application/x-www-form-urlencoded'] } }, async ({ body }) => ({ body }))
  server.post('/jose', { config: { accepts: ['application/jose'] } }, async ({ body }) => ({ body }))
  server.get(
    '/items/:id',
    {
      schema: {
        params: z.object({ id: z.string().regex(/^\d+$/, 'not a number') }),
        response: { 200: z.object({ id: z.string() }) },
      },
    },
    async ({ params }) => ({ id: params.id, secret: 'not declared' }),
  )
  return {
    server,
    health,
    metrics: meter,
    log: () => lines.join(''),
    [Symbol.asyncDispose]: () => server.close().then(() => undefined),
  }
}

/** Sends the bytes over a connection of its own. Returns everything received until the server closes it. */
export async function speak(port: number, ...parts: (string | number)[]): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.on('data', (chunk) => {
    answer += chunk
  })
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  socket.on('close', () => resolve())
  await once(socket, 'connect')
  socket.on('error', () => undefined) // a reset also ends the connection
  for (const part of parts) {
    if (typeof part === 'number') await new Promise((resolve) => setTimeout(resolve, part))
    else if (socket.writable) socket.write(part)
  }
  await closed
  return answer
}

/** Listens on a free port of this machine, and returns it. */
export async function listening({ server }: Fixture): Promise<number> {
  return Number(new URL(await server.listen({ port: 0 })).port)
}
