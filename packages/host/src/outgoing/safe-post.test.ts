import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { createServer } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { afterAll, beforeEach, expect, it } from 'vitest'
import { testTls } from '../http/tls.fixture.ts'
import { type Post, type SafePostOptions, safePost, safeUrl } from './safe-post.ts'

const publicAddress = '93.184.215.14'
let answer: RequestListener
const seen: { url: string | undefined; host: string | undefined; body: string }[] = []
const server = createServer({ key: testTls.key, cert: testTls.certificate }, (request, response) => {
  let body = ''
  request.on('data', (chunk) => {
    body += chunk
  })
  request.once('end', () => {
    seen.push({ url: request.url, host: request.headers.host, body })
    answer(request, response)
  })
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const { port } = server.address() as AddressInfo
afterAll(() => new Promise((resolve) => server.close(resolve)))

let looked: string[]
let dialled: string[]
beforeEach(() => {
  answer = (_, response) => response.writeHead(204).end()
  looked = []
  dialled = []
  seen.length = 0
})

/** Redirects connections that the guard let through to the test's own server. */
function post(
  url = `https://localhost:${port}/hook`,
  over: Partial<SafePostOptions> = {},
  more: Partial<Post> = {},
  stop?: AbortSignal,
) {
  const send = safePost({
    ca: testTls.certificate,
    deadlineMs: 2000,
    lookup: async (host) => {
      looked.push(host)
      return [{ address: publicAddress }]
    },
    dial: (address) => {
      dialled.push(address)
      return connect({ host: '127.0.0.1', port })
    },
    ...over,
  })
  return send({ url, headers: { 'content-type': 'application/json' }, body: '{"a":1}', ...more }, stop)
}

it('delivers to a public address, under the name that was asked for', async () => {
  expect(await post(`https://localhost:${port}/hook?x=1`)).toEqual({ outcome: 'delivered', status: 204 })
  expect(seen).toEqual([{ url: '/hook?x=1', host: `localhost:${port}`, body: '{"a":1}' }])
  expect(looked).toEqual(['localhost'])
  expect(dialled).toEqual([publicAddress])
})

it('connects to the address that it looked up, even if the name changes a moment later', async () => {
  const answers = [publicAddress, '127.0.0.1']
  const lookup = async () => [{ address: answers.shift() ?? '10.0.0.1' }]
  expect(await post(undefined, { lookup })).toMatchObject({ outcome: 'delivered' })
  expect(dialled).toEqual([publicAddress])
  expect(answers).toEqual(['127.0.0.1']) // the name was not resolved again
})

it.each([
  [['127.0.0.1']],
  [['::1']],
  [['169.254.169.254']],
  [['::ffff:10.0.0.1']],
  [[publicAddress, '10.0.0.1']],
  [['10.0.0.1', publicAddress]],
])('sends nothing where a name leads to %j', async (addresses) => {
  const lookup = async () => addresses.map((address) => ({ address }))
  expect(await post(undefined, { lookup })).toEqual({ outcome: 'forbidden', why: 'address' })
  expect(dialled).toEqual([])
})

it.each([
  'https://127.0.0.1/',
  'https://[::1]/',
  'https://0x7f.1/',
  'https://2130706433/',
  'https://0177.0.0.1/',
  'https://127.1/',
  'https://[::ffff:127.0.0.1]/',
  'https://169.254.169.254/latest/meta-data/',
  'https://１２７.0.0.1/',
])('sends nothing to %s, and asks no resolver', async (url) => {
  expect(await post(url)).toEqual({ outcome: 'forbidden', why: 'address' })
  expect(looked).toEqual([])
})

it.each([
  'http://hooks.example/',
  'ftp://hooks.example/',
  'file:///etc/passwd',
  'https://user@hooks.example/',
  'https://user:pass@hooks.example/',
  'https://@hooks.example/',
  'https://:@hooks.example/',
  'https://hooks.example/#x',
  'https://hooks.example/#',
  'https://hooks.example:99999/',
  'https://',
  'hooks.example',
])('%s is none that is posted to', async (url) => {
  expect(safeUrl(url)).toBeUndefined()
  expect(await post(url)).toEqual({ outcome: 'forbidden', why: 'url' })
})

it('follows no redirect', async () => {
  answer = (_, response) => response.writeHead(307, { location: 'https://127.0.0.1/' }).end()
  expect(await post()).toEqual({ outcome: 'failed', why: 'status', status: 307 })
  expect(seen).toHaveLength(1)
})

it('believes no certificate that it need not, nor one for another name', async () => {
  expect(await post(undefined, { ca: '' })).toEqual({ outcome: 'failed', why: 'unreachable' })
  expect(await post(`https://elsewhere.example:${port}/`)).toEqual({ outcome: 'failed', why: 'unreachable' })
  expect(seen).toEqual([])
})

it('waits no longer than its deadline, for any of it', async () => {
  answer = () => undefined
  expect(await post(undefined, { deadlineMs: 200 })).toEqual({ outcome: 'failed', why: 'late' })
  const never = () => new Promise<never>(() => undefined)
  expect(await post(undefined, { deadlineMs: 50, lookup: never })).toEqual({ outcome: 'failed', why: 'late' })
  answer = (_, response) => response.writeHead(200).write('a')
  expect(await post(undefined, { deadlineMs: 200 })).toEqual({ outcome: 'failed', why: 'late' })
})

it('is held by no answer that Node is silent about, nor by one that is never whole (V18)', async () => {
  const soon = { deadlineMs: 10_000 }
  answer = (_, { socket }) => socket?.write('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
  expect(await post(undefined, soon)).toEqual({ outcome: 'failed', why: 'unreachable' })
  answer = (_, { socket }) => socket?.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc')
  expect(await post(undefined, soon)).toEqual({ outcome: 'failed', why: 'unreachable' })
  answer = (_, { socket }) => {
    const more = setInterval(() => socket?.write('HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'), 20)
    socket?.once('close', () => clearInterval(more))
  }
  expect(await post(undefined, { deadlineMs: 200 })).toEqual({ outcome: 'failed', why: 'late' })
})

it('ends when its sender aborts', async () => {
  const stop = new AbortController()
  answer = () => stop.abort()
  expect(await post(undefined, { deadlineMs: 10_000 }, {}, stop.signal)).toMatchObject({ outcome: 'failed' })
  expect(await post(undefined, {}, {}, AbortSignal.abort())).toMatchObject({ outcome: 'failed' })
  expect(seen).toHaveLength(1)
})

it('reads no more of an answer than it must, and sends no more than it may', async () => {
  answer = (_, response) => response.end(Buffer.alloc(200_000))
  expect(await post()).toMatchObject({ outcome: 'failed', why: 'answer_too_large' })
  expect(await post(undefined, {}, { body: 'x'.repeat(70_000) })).toMatchObject({ outcome: 'forbidden' })
})

it('says that the address is unreachable', async () => {
  expect(await post(undefined, { lookup: async () => [] })).toEqual({ outcome: 'failed', why: 'unreachable' })
  const closed = { dial: () => connect({ host: '127.0.0.1', port: 1 }) }
  expect(await post(undefined, closed)).toEqual({ outcome: 'failed', why: 'unreachable' })
})
