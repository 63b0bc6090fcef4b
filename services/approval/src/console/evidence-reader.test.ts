import { createServer, type RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import { expect, it } from 'vitest'
import { evidenceReader } from './evidence-reader.ts'

async function at(answer: RequestListener, authorization?: () => string | undefined) {
  const server = createServer(answer)
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  return {
    reader: evidenceReader(tmpdir(), `http://127.0.0.1:${port}`, authorization),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  }
}

it('reads evidence at its address', async () => {
  const asked: string[] = []
  await using evidence = await at((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers.cookie ?? 'no cookie'}`)
    response.end('{"events":[]}')
  })
  expect((await evidence.reader.get('/v1/events?task=x')).toString()).toBe('{"events":[]}')
  expect(asked).toEqual(['GET /v1/events?task=x no cookie'])
})

it('follows nowhere, and reads no answer that does not end', async () => {
  await using away = await at((_, response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end())
  await expect(away.reader.get('/v1/events')).rejects.toMatchObject({ code: 'answer_malformed' })
  await using endless = await at((_, response) => {
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(1 << 20, ' '))) {}
    }
    response.on('drain', more)
    more()
  })
  await expect(endless.reader.get('/v1/events')).rejects.toMatchObject({ code: 'service_unreachable' })
})

it('authenticates to evidence, and ends no session when evidence does not know it', async () => {
  let named = 'Bearer one'
  await using evidence = await at(
    ({ headers }, response) =>
      headers.authorization === 'Bearer two'
        ? response.end('{}')
        : response.writeHead(401).end(JSON.stringify({ code: 'caller_unauthenticated' })),
    () => named,
  )
  await expect(evidence.reader.get('/v1/events')).rejects.toMatchObject({ code: 'caller_forbidden' })
  named = 'Bearer two'
  expect((await evidence.reader.get('/v1/events')).toString()).toBe('{}')
})

it('says that nothing answers there', async () => {
  await expect(evidenceReader(tmpdir(), 'http://127.0.0.1:1').get('/v1/events')).rejects.toMatchObject({
    code: 'service_unreachable',
  })
})
