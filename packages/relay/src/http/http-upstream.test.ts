import { openSecrets } from '../secrets/secrets.ts'
import { type UpstreamUnderTest, upstreamContract } from '../upstream.contract.ts'
import type { RelayRequest } from '../upstream.ts'
import { httpUpstream } from './http-upstream.ts'
import { type Arrived, chunk, chunkedHead, RawServer, whole } from './raw-server.fixture.ts'

const secret = 'sk-0123456789abcdefghij'

function request(target: string, body?: object): RelayRequest {
  const headers = ['Accept', '*/*', ...(body === undefined ? [] : ['Content-Type', 'application/json'])]
  // Spaces, an escape and an order of keys that no serialiser would write.
  const text = body === undefined ? '' : JSON.stringify(body, undefined, 1).replace('"n"', '"\\u006e"')
  return { method: body === undefined ? 'GET' : 'POST', target, headers, body: Buffer.from(text) }
}

function answer({ target, socket }: Arrived): void {
  if (target.startsWith('/effect')) socket.write(whole('{"done":true}'))
  else if (target === '/broken') socket.destroy()
  else if (target === '/flowing') {
    socket.write(chunkedHead('text/event-stream'))
    const timer = setInterval(() => socket.write(chunk('data: {"tick":1}\n\n')), 5)
    socket.on('close', () => clearInterval(timer))
  }
}

async function open(): Promise<UpstreamUnderTest> {
  const server = await RawServer.start(answer)
  const upstream = httpUpstream({
    name: 'api',
    url: server.url,
    secrets: openSecrets({ env: { KEY: secret } }),
    inject: { authorization: 'Bearer ${secret:env:KEY}' },
  })
  return {
    upstream,
    secret,
    effect: (n) => request(`/effect/${n}`, { z: 1, n, a: ' ' }),
    flowing: () => request('/flowing'),
    silent: () => request('/silent'),
    broken: () => request('/broken', { n: 1 }),
    refused: () => [
      { ...request('/effect/1', {}), body: Buffer.from('{"a":1,"a":2}') },
      { ...request('/effect/1', {}), body: Buffer.from('{"amount":1,"Amount":2}') },
      { ...request('/effect/1'), target: '/effect/1?a=1&a=2' },
      { ...request('/effect/1'), body: Buffer.from('{}') },
    ],
    arrived: () => server.arrived.map(({ text }) => text),
    written: ({ method, target, body }) => {
      const text = Buffer.from(body).toString('latin1')
      return body.length === 0 ? `${method} ${target} HTTP/1.1\r\n` : `\r\n\r\n${text}`
    },
    vanish: () => server.vanish(),
    async [Symbol.asyncDispose]() {
      await upstream[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

upstreamContract('http', open)
