import { openSecrets, type RelayRequest } from '@bailiwick/relay'
import { type UpstreamUnderTest, upstreamContract } from '@bailiwick/relay/contract'
import { type Arrived, chunk, chunkedHead, RawServer, whole } from '@bailiwick/relay/raw-server'
import { expect, it } from 'vitest'
import { apiEntry } from './api-entry.ts'
import { ApiUpstream } from './api-upstream.ts'

const secret = 'sk-0123456789abcdefghij'

function request(target: string, body?: object): RelayRequest {
  const headers = ['Accept', '*/*', ...(body === undefined ? [] : ['Content-Type', 'application/json'])]
  // Spaces, an escape and an order of keys that no serialiser would write.
  const text = body === undefined ? '' : JSON.stringify(body, undefined, 1).replace('"n"', '"\\u006e"')
  return { method: body === undefined ? 'GET' : 'POST', target, headers, body: Buffer.from(text) }
}

function answer({ target, socket }: Arrived): void {
  if (target.startsWith('/v1/effect')) socket.write(whole('{"done":true}'))
  else if (target === '/v1/broken') socket.destroy()
  else if (target === '/v1/flowing') {
    socket.write(chunkedHead('text/event-stream'))
    const timer = setInterval(() => socket.write(chunk('data: {"tick":1}\n\n')), 5)
    socket.on('close', () => clearInterval(timer))
  }
}

const operations = {
  effect: { request: 'POST /effect/{place}', body: { json: ['z', 'n', 'a'] } },
  broken: { request: 'POST /broken', body: { json: 'any' } },
  flowing: { request: 'GET /flowing' },
  silent: { request: 'GET /silent' },
}

const refused = (): RelayRequest[] => [
  { ...request('/effect/1', {}), body: Buffer.from('{"a":1,"a":2}') },
  { ...request('/effect/1', {}), body: Buffer.from('{"amount":1,"Amount":2}') },
  { ...request('/flowing'), target: '/flowing?a=1&a=2' },
  { ...request('/flowing'), body: Buffer.from('{}') },
]

async function open(entry: object): Promise<UpstreamUnderTest & { upstream: ApiUpstream }> {
  const server = await RawServer.start(answer)
  const upstream = new ApiUpstream({
    name: 'billing',
    entry: apiEntry.parse({
      url: `${server.url}/v1`,
      inject: { headers: { authorization: `Bearer \${secret:env:KEY}` } },
      ...entry,
    }),
    secrets: openSecrets({ env: { KEY: secret } }),
    headMs: 60_000,
    idleMs: 60_000,
  })
  return {
    upstream,
    secret,
    effect: (n) => request(`/effect/${n}`, { z: 1, n, a: ' ' }),
    flowing: () => request('/flowing'),
    silent: () => request('/silent'),
    broken: () => request('/broken', { n: 1 }),
    refused,
    arrived: () => server.arrived.map(({ text }) => text),
    written: ({ method, target, body }) => {
      const text = Buffer.from(body).toString('latin1')
      return body.length === 0 ? `${method} /v1${target} HTTP/1.1\r\n` : `\r\n\r\n${text}`
    },
    vanish: () => server.vanish(),
    async [Symbol.asyncDispose]() {
      await upstream[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

upstreamContract('api by url', () => open({}))
upstreamContract('api by operation', async () => {
  const under = await open({ operations })
  const more = [request('/effect/1', { other: 1 }), request('/effect'), request('/Flowing'), request('/effect/a:b', {})]
  return { ...under, refused: () => [...refused(), ...more] }
})

it('names what it calls by the URL that it calls', async () => {
  await using under = await open({})
  expect(under.upstream.toAction(request('/effect/1?page=2', { n: 1 }))).toMatchObject({
    name: 'POST',
    resource: { type: 'api', id: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/v1\/effect\/1$/) },
    properties: { query: { page: '2' }, body: { n: 1 } },
  })
})
