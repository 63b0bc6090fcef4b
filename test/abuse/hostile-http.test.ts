import { type IncomingHttpHeaders, request } from 'node:http'
import { connect } from 'node:net'
import { errorKinds } from '@bailiwick/errors'
import { expect, it } from 'vitest'
import { Scene } from './scene.ts'

interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

interface Sent {
  method: string
  path: string
  headers?: Record<string, string>
  body?: Uint8Array | string | undefined
  /** Chunked, without a Content-Length. */
  chunked?: boolean
}

function send(url: string, { method, path, headers = {}, body, chunked }: Sent): Promise<Answer> {
  const { hostname, port } = new URL(url)
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const length = body === undefined || chunked ? {} : { 'content-length': String(Buffer.byteLength(body)) }
  let answered = false
  const asked = request(
    { hostname, port, method, path, headers: { ...length, ...headers }, agent: false },
    (answer) => {
      answered = true
      const parts: Buffer[] = []
      const done = () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(parts).toString() })
      answer
        .on('data', (part: Buffer) => parts.push(part))
        .on('end', done)
        .on('error', done)
    },
  )
  // A caller that is refused before the end of an oversized body may find the connection closed while it sends.
  asked.on('error', (error) => (answered ? undefined : reject(error)))
  if (body !== undefined) asked.write(body)
  asked.end()
  return promise
}

const json = { 'content-type': 'application/json' }
const form = { 'content-type': 'application/x-www-form-urlencoded' }
const deep = `${'{"a":'.repeat(100)}1${'}'.repeat(100)}`
const large = `{"a":"${'x'.repeat(200_000)}"}`

/** Bodies that no route accepts from any caller. */
const hostile: [string, Omit<Sent, 'method' | 'path'>][] = [
  ['nothing', {}],
  ['no JSON', { headers: json, body: '{"a":' }],
  ['an array', { headers: json, body: '[]' }],
  ['null', { headers: json, body: 'null' }],
  ['a number', { headers: json, body: '1e999' }],
  ['duplicate keys', { headers: json, body: '{"a":1,"a":2}' }],
  ['deep nesting', { headers: json, body: deep }],
  ['a prototype', { headers: json, body: '{"__proto__":{"a":1},"constructor":{"prototype":{}}}' }],
  ['unknown members', { headers: json, body: '{"role":"admin","approved":true}' }],
  ['bad UTF-8', { headers: json, body: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]) }],
  ['a lone surrogate', { headers: json, body: '{"a":"\\ud800"}' }],
  ['too much', { headers: json, body: large }],
  ['too much, chunked', { headers: { ...json, 'transfer-encoding': 'chunked' }, body: large, chunked: true }],
  ['another type', { headers: { 'content-type': 'text/plain' }, body: '{}' }],
  ['another charset', { headers: { 'content-type': 'application/json; charset=utf-16' }, body: '{}' }],
  ['a compressed body', { headers: { ...json, 'content-encoding': 'gzip' }, body: '{}' }],
  ['no type', { headers: {}, body: '{}' }],
  ['multipart', { headers: { 'content-type': 'multipart/form-data; boundary=x' }, body: '--x--' }],
  ['repeated form fields', { headers: form, body: 'grant_type=client_credentials&grant_type=x' }],
  ['a broken form', { headers: form, body: 'a=%zz&%ff=%fe&=' }],
  ['another grant type', { headers: form, body: 'grant_type=password&username=owner&password=x' }],
]

/** Every route of the server with its methods, read from fastify itself, so that the list is complete. */
function routesOf(printed: string): { path: string; methods: string[] }[] {
  const above: string[] = []
  const routes: { path: string; methods: string[] }[] = []
  for (const line of printed.split('\n')) {
    const [, indent, name, methods] = /^([\s│├└─]*)(\S+)(?: \(([A-Z, ]+)\))?$/.exec(line) ?? []
    if (indent === undefined || name === undefined) continue
    const depth = indent.length / 4
    above.length = depth
    above[depth - 1] = name
    if (methods) routes.push({ path: above.join(''), methods: methods.split(', ') })
  }
  return routes
}

const filled = (path: string) =>
  path
    .replace(':eventId', 'evt_0000000000')
    .replace(':id', `req_${'x'.repeat(43)}`)
    .replace('*', 'v1/trace/x')

/** The reason why an answer is not a refusal that its caller can act on. */
function unlikeRefusal({ status, headers, body }: Answer, oauth: boolean): string | undefined {
  if (status < 400 || status >= 500) return `status ${status}`
  const answer = JSON.parse(body) as { code?: string; error?: string; status?: number }
  if (oauth && typeof answer.error === 'string') return undefined
  if (!String(headers['content-type']).startsWith('application/problem+json')) return 'no problem document'
  if (answer.code === undefined || !Object.hasOwn(errorKinds, answer.code)) return `code ${answer.code}`
  if (/at .*\.ts|node_modules|Error:/.test(body)) return 'reveals internals'
  return answer.status === status ? undefined : 'another status inside'
}

it('answers any garbage on any route with a named refusal, changes nothing and stays up (V13)', async () => {
  await using scene = await Scene.open()
  await scene.granted()
  const { url } = scene
  const routes = routesOf(scene.system.host.http.printRoutes({ commonPrefix: false }))
  expect(routes.length).toBeGreaterThan(30)
  expect(routes.map(({ path }) => path)).toContain('/console/api/requests/:id/approve')
  const before = await scene.counted()
  const wrong: string[] = []
  const judge = (what: string, answer: Answer, oauth: boolean) => {
    const problem = unlikeRefusal(answer, oauth)
    if (problem !== undefined) wrong.push(`${what}: ${problem}`)
  }
  for (const { path, methods } of routes) {
    const oauth = path.startsWith('/oauth/')
    const to = filled(path)
    if (methods.includes('POST'))
      for (const [what, sent] of hostile) {
        // Sent as a page of the console's own origin, to reach the code after the origin check too.
        for (const origin of [
          {},
          { origin: url, authorization: 'Bearer x.y.z', dpop: 'x.y.z', cookie: '__Host-bailiwick=x' },
        ]) {
          const answer = await send(url, { method: 'POST', path: to, ...sent, headers: { ...sent.headers, ...origin } })
          const harmless = answer.status === 200 && /session\/(end|options)$/.test(path)
          if (!harmless) judge(`POST ${path}, ${what}`, answer, oauth)
        }
      }
    for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'QUERY', 'PROPFIND'])
      judge(`${method} ${path}`, await send(url, { method, path: to }), oauth)
    if (!methods.includes('GET')) judge(`GET ${path}`, await send(url, { method: 'GET', path: to }), oauth)
    const head = await send(url, { method: 'HEAD', path: to })
    if (head.body !== '' || head.status >= 500) wrong.push(`HEAD ${path}: ${head.status}`)
    const long = await send(url, { method: 'GET', path: `${to}?${'a=1&'.repeat(3000)}` })
    if (long.status >= 500) wrong.push(`GET ${path} with a long query: ${long.status}`)
  }
  for (const path of [
    '/log/tile/../../../etc/passwd',
    '/log/tile/%2e%2e/%2e%2e/trust.json',
    '/log/tile/0/%00',
    '/console/..%2f..%2fpackage.json',
    '/console/%2e%2e/src/main.ts',
    `/v1/trace/${'x'.repeat(4000)}`,
    '/v1/trace/%ff%fe',
    '/access/v1/requests/%00',
    '/%',
    '//',
    `/${'a/'.repeat(3000)}`,
  ])
    judge(`GET ${path.slice(0, 60)}`, await send(url, { method: 'GET', path }), false)
  expect(wrong).toEqual([])
  expect(await scene.counted()).toBe(before)
  expect((await fetch(`${url}/healthz`)).status).toBe(200)
  await scene.stillWorks()
  expect((await scene.audited()).findings).toEqual([])
})

it('invalid HTTP, or a smuggled second request, gets one refusal and the connection ends (V13)', async () => {
  await using scene = await Scene.open()
  const raw = (text: string) => {
    const { promise, resolve } = Promise.withResolvers<string>()
    let got = ''
    const socket = connect(Number(new URL(scene.url).port), '127.0.0.1', () => socket.end(text))
    socket
      .on('data', (part) => (got += part.toString()))
      .on('close', () => resolve(got))
      .on('error', () => resolve(got))
    return promise
  }
  const host = 'Host: localhost\r\n'
  const cases = [
    'garbage\r\n\r\n',
    `GET / HTTP/1.1\r\n${host}X: ${'x'.repeat(20_000)}\r\n\r\n`,
    `POST /oauth/token HTTP/1.1\r\n${host}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\n${host}\r\n`,
    `POST /oauth/token HTTP/1.1\r\n${host}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde`,
    `POST /oauth/token HTTP/1.1\r\n${host}Transfer-Encoding: chunked, identity\r\n\r\nzz\r\n`,
    `GET /healthz HTTP/1.1\r\n${host} folded: x\r\n\r\n`,
  ]
  for (const text of cases) {
    const got = await raw(text)
    expect(got.match(/HTTP\/1\.1 (\d+)/g) ?? []).toHaveLength(1)
    expect(got).toMatch(/^HTTP\/1\.1 4\d\d /)
  }
  expect((await fetch(`${scene.url}/healthz`)).status).toBe(200)
})

it('a page whose own host name points here (DNS rebinding) gets no answer and no effect from any service (V3)', async () => {
  await using scene = await Scene.open()
  const { url } = scene
  const { port } = new URL(url)
  const before = await scene.counted()
  const paths: [string, string][] = [
    ['POST', '/access/v1/requests'],
    ['GET', '/console/api/state'],
    ['GET', '/'],
    ['POST', '/oauth/token'],
    ['GET', '/oauth/jwks'],
    ['POST', '/access/v1/evaluation'],
    ['GET', '/log/checkpoint'],
    ['GET', '/metrics'],
  ]
  for (const [method, path] of paths) {
    const of = (host: string) => send(url, { method, path, headers: { ...json, host: `${host}:${port}` }, body: '{}' })
    expect([path, (await of('evil.example')).status]).toEqual([path, 421])
    expect([path, (await of('127.0.0.1')).status === 421]).toEqual([path, false])
  }
  expect(await scene.counted()).toBe(before)
})
