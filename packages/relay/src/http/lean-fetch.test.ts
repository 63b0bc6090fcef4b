import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createNetServer } from 'node:net'
import { expect, it } from 'vitest'
import { leanFetch } from './lean-fetch.ts'

async function aServer(listener: RequestListener) {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/asked`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

const asked = (url: string, signal = new AbortController().signal) =>
  leanFetch(url, { method: 'POST', redirect: 'manual', signal, headers: { 'x-one': '1' }, body: '{"a":1}' })
const textOf = async (body: AsyncIterable<Uint8Array> | null) =>
  Buffer.concat(await Array.fromAsync(body ?? [])).toString()

it('sends what it is given, and answers as fetch does', async () => {
  await using server = await aServer(async (request, response) => {
    const body = await Array.fromAsync(request)
    response.writeHead(429, { 'retry-after': '7' })
    response.end(`${request.method} ${request.url} ${request.headers['x-one']} ${Buffer.concat(body)}`)
  })
  const { status, headers, body } = await asked(server.url)
  expect([status, headers.get('retry-after'), headers.get('etag')]).toEqual([429, '7', null])
  expect(await textOf(body)).toBe('POST /asked 1 {"a":1}')
})

it('follows no redirect', async () => {
  let requests = 0
  await using server = await aServer((_, response) => {
    requests++
    response.writeHead(307, { location: '/other' }).end()
  })
  const { status, body } = await asked(server.url)
  expect([status, await textOf(body), requests]).toEqual([307, '', 1])
})

it('names a connection that was lost, before or in the answer, by a TypeError', async () => {
  await using silent = await aServer(({ socket }) => socket.destroy())
  await expect(asked(silent.url)).rejects.toThrow(TypeError)
  await using half = await aServer((_, response) => {
    response.writeHead(200, { 'content-length': 10 })
    response.write('half', () => response.destroy())
  })
  await expect(asked(half.url).then(({ body }) => textOf(body))).rejects.toThrow(TypeError)
})

it('ends with the reason of its signal, before and in the answer', async () => {
  const reason = new Error('too late')
  await using silent = await aServer(() => undefined)
  const before = new AbortController()
  const waiting = asked(silent.url, before.signal)
  before.abort(reason)
  await expect(waiting).rejects.toBe(reason)
  await using half = await aServer((_, response) => {
    response.writeHead(200, { 'content-length': 10 })
    response.write('half')
  })
  const within = new AbortController()
  const { body } = await asked(half.url, within.signal)
  const reading = textOf(body)
  within.abort(reason)
  await expect(reading).rejects.toBe(reason)
})

it('ends in time also while there is no connection yet, whose dispatcher is Node’s own', async () => {
  await fetch('http://127.0.0.1:1/').catch(() => undefined) // makes Node set its dispatcher
  const silent = createNetServer().listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const begun = performance.now()
  const { port } = silent.address() as AddressInfo
  await expect(asked(`https://127.0.0.1:${port}/`, AbortSignal.timeout(100))).rejects.toThrow('aborted due to timeout')
  expect(performance.now() - begun).toBeLessThan(5000) // else Node ends the handshake after ten seconds
  silent.close()
})
