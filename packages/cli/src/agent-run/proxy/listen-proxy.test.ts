import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { connect as connectSecurely } from 'node:tls'
import type { LocalPlace } from '@bailiwick/agent/sidecar'
import { systemRandom } from '@bailiwick/kit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { listenProxy, type RunProxy } from './listen-proxy.ts'
import { runAuthority } from './run-authority.ts'

/* The proxy as the program sees it, and as others who find its port do. Entries of the gateway are stood in for. */

const seen: string[] = []
const place = (name: string): LocalPlace => ({
  methods: new Set(['GET', 'POST']),
  mostBytes: 100,
  hasPaths: true,
  async exchange({ method, body }, rest) {
    seen.push(`${name} ${method} ${rest} ${Buffer.from(body)}`)
    return { status: 200, headers: [], body: Buffer.from(`${name} ${rest}`) }
  },
})

let proxy: RunProxy
let secret = ''
let port = 0
let refused: string[]
/** Stands for everything that a program must not reach through the proxy. */
let elsewhere: Server
let elsewherePort = 0
let reached = 0
const authority = runAuthority(['api.example.com'], { now: Date.now(), random: systemRandom })

beforeEach(async () => {
  seen.length = 0
  refused = []
  const sites = [
    { origin: 'https://api.example.com', path: '', place: place('api') },
    { origin: 'http://erp.example:8080', path: '/v1', place: place('erp') },
    { origin: 'http://erp.example:8080', path: '/v1/reports', place: place('reports') },
  ]
  const onRefused = (origin: string) => void refused.push(origin)
  proxy = await listenProxy({ sites, authority, random: systemRandom, user: process.getuid?.(), onRefused })
  const url = new URL(proxy.url)
  port = Number(url.port)
  secret = `Basic ${Buffer.from(`${url.username}:${url.password}`).toString('base64')}`
  reached = 0
  elsewhere = createServer((_, response) => response.end('elsewhere')).listen(0, '127.0.0.1')
  elsewhere.on('connection', () => reached++)
  await once(elsewhere, 'listening')
  elsewherePort = (elsewhere.address() as AddressInfo).port
})
afterEach(async () => {
  await proxy[Symbol.asyncDispose]()
  elsewhere.closeAllConnections()
  elsewhere.close()
  // Only entries answered, in each case.
  expect(reached).toBe(0)
})

const withSecret = (lines: string[]) => [...lines, `Proxy-Authorization: ${secret}`]

/** Sends these lines as they are, and says what came until the proxy closed or went silent for a moment after an answer. */
async function raw(lines: readonly string[], body = ''): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  let text = ''
  const answered = new Promise<void>((resolve) => {
    socket.on('data', (chunk) => {
      text += chunk
      if (/\r\n\r\n[\s\S]/.test(text) || text.includes('200 Connection')) resolve()
    })
    socket.on('close', () => resolve())
  })
  socket.write([...lines, '', body].join('\r\n'))
  await answered
  socket.destroy()
  return text
}
const status = (text: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1])
const code = (text: string) => /"code":"(\w+)"/.exec(text)?.[1]

describe('a request to the proxy', () => {
  it.each([
    ['http://erp.example:8080/v1/a?b=c', 'erp GET /a?b=c '],
    ['http://erp.example:8080/v1/reports/q3', 'reports GET /q3 '],
    ['http://erp.example:8080/v1/reports2', 'erp GET /reports2 '],
    ['HTTP://ERP.example:8080/v1', 'erp GET  '],
    ['https://api.example.com/x', 'api GET /x '],
    ['https://api.example.com:443/x', 'api GET /x '],
  ])('for %s is answered by the entry that stands for it', async (target, as) => {
    const host = /\/\/([^/]+)/.exec(target)?.[1] ?? ''
    expect(status(await raw(withSecret([`GET ${target} HTTP/1.1`, `Host: ${host}`])))).toBe(200)
    expect(seen).toEqual([as])
  })

  it.each([
    ['another host', 'http://evil.example/', 'evil.example'],
    ['a host that begins alike', 'https://api.example.com.evil.example/', 'api.example.com.evil.example'],
    ['a host below one', 'https://x.api.example.com/', 'x.api.example.com'],
    ['a host with a dot at the end', 'https://api.example.com./', 'api.example.com.'],
    ['another port', 'http://erp.example/v1/a', 'erp.example'],
    ['another scheme', 'http://api.example.com/', 'api.example.com'],
    ['a path beside it', 'http://erp.example:8080/v2', 'erp.example:8080'],
    ['a path that begins alike', 'http://erp.example:8080/v10', 'erp.example:8080'],
    ['a path in other letters', 'http://erp.example:8080/V1/a', 'erp.example:8080'],
    ['the metadata of a cloud', 'http://169.254.169.254/latest/meta-data', '169.254.169.254'],
    ['the same in IPv6', 'http://[fd00:ec2::254]/latest', '[fd00:ec2::254]'],
    ['a name of metadata', 'http://metadata.google.internal/', 'metadata.google.internal'],
    ['this machine', 'http://localhost/', 'localhost'],
    ['an address as one number', 'http://2130706433/', '2130706433'],
    ['a name that is resolved to this machine', 'http://127.0.0.1.nip.io/', '127.0.0.1.nip.io'],
  ])('for %s is refused by name, and goes nowhere', async (_, target, host) => {
    const answer = await raw(withSecret([`GET ${target} HTTP/1.1`, `Host: ${host}`]))
    expect([status(answer), code(answer), seen]).toEqual([403, 'host_not_served', []])
    expect(refused).toHaveLength(1)
  })

  it('reaches no port of this machine', async () => {
    const here = `127.0.0.1:${elsewherePort}`
    expect(status(await raw(withSecret([`GET http://${here}/ HTTP/1.1`, `Host: ${here}`])))).toBe(403)
    expect(status(await raw(withSecret([`CONNECT ${here} HTTP/1.1`, `Host: ${here}`])))).toBe(403)
    expect(status(await raw(withSecret([`CONNECT localhost:${elsewherePort} HTTP/1.1`])))).toBe(403)
  })

  it.each<[string, string[], number]>([
    ['two hosts', ['GET https://api.example.com/ HTTP/1.1', 'Host: evil.example'], 400],
    ['no host', ['GET https://api.example.com/ HTTP/1.1'], 400],
    ['Host twice', ['GET https://api.example.com/ HTTP/1.1', 'Host: api.example.com', 'Host: evil.example'], 400],
    ['Host with another port', ['GET https://api.example.com/ HTTP/1.1', 'Host: api.example.com:80'], 400],
    ['a user in the target', ['GET https://api.example.com@evil.example/ HTTP/1.1', 'Host: evil.example'], 400],
    ['a path as the target', ['GET / HTTP/1.1', 'Host: api.example.com'], 400],
    ['a backslash', ['GET https://api.example.com\\@evil.example/ HTTP/1.1', 'Host: api.example.com'], 400],
    ['another scheme', ['GET ftp://api.example.com/ HTTP/1.1', 'Host: api.example.com'], 400],
    [
      'both lengths of a body',
      [
        ...['POST https://api.example.com/ HTTP/1.1', 'Host: api.example.com'],
        ...['Content-Length: 4', 'Transfer-Encoding: chunked'],
      ],
      400,
    ],
    [
      'two lengths',
      ['POST https://api.example.com/ HTTP/1.1', 'Host: api.example.com', 'Content-Length: 1', 'Content-Length: 2'],
      400,
    ],
    [
      'a coding that is not the last',
      ['POST https://api.example.com/ HTTP/1.1', 'Host: api.example.com', 'Transfer-Encoding: chunked, identity'],
      400,
    ],
    ['a space before a colon', ['GET https://api.example.com/ HTTP/1.1', 'Host : api.example.com'], 400],
    [
      'an upgrade to a WebSocket',
      ['GET https://api.example.com/ HTTP/1.1', 'Host: api.example.com', 'Connection: upgrade', 'Upgrade: websocket'],
      400,
    ],
  ])('with %s is refused', async (_, lines, expected) => {
    const [first = '', ...others] = lines
    const answer = await raw([first, `Proxy-Authorization: ${secret}`, ...others])
    expect([status(answer), seen]).toEqual([expected, []])
  })

  it('ends where it says, and what follows is a request of its own that needs the secret', async () => {
    const second = 'GET https://api.example.com/second HTTP/1.1\r\nHost: api.example.com\r\n\r\n'
    const lines = ['POST https://api.example.com/first HTTP/1.1', 'Host: api.example.com', 'Content-Length: 2']
    await raw(withSecret(lines), `ok${second}`)
    expect(seen.filter((each) => each.includes('second'))).toEqual([])
  })

  it.each([
    ['nothing', []],
    ['another secret', [`Proxy-Authorization: Basic ${Buffer.from('bailiwick:guess').toString('base64')}`]],
    ['the secret elsewhere', () => [`Authorization: ${secret}`]],
  ])('with %s for its secret gets no more than a challenge', async (_, given) => {
    const lines = typeof given === 'function' ? given() : given
    for (const first of ['GET https://api.example.com/ HTTP/1.1', 'CONNECT api.example.com:443 HTTP/1.1']) {
      const answer = await raw([first, 'Host: api.example.com', ...lines])
      expect([status(answer), code(answer)]).toEqual([407, 'proxy_secret_missing'])
      expect(answer).not.toMatch(/example\.com|erp/)
    }
    expect([seen, refused]).toEqual([[], []])
  })
})

it('closes what a program opens beyond 512 connections, so that the command keeps files for itself', async () => {
  const sockets = Array.from({ length: 530 }, () => connect(port, '127.0.0.1'))
  let closed = 0
  for (const socket of sockets) socket.on('error', () => undefined).on('close', () => closed++)
  await expect.poll(() => closed).toBe(18)
  for (const socket of sockets) socket.destroy()
})

/** A tunnel, as a client asks for it, with TLS in it. */
async function tunnel(authority_: string, servername: string | undefined, request: readonly string[]) {
  const socket = connect(port, '127.0.0.1')
  const [host = ''] = authority_.split(':')
  socket.write(
    [`CONNECT ${authority_} HTTP/1.1`, `Host: ${host}`, `Proxy-Authorization: ${secret}`, '', ''].join('\r\n'),
  )
  const [first] = await once(socket, 'data')
  if (!String(first).includes(' 200 ')) return String(first)
  const names = servername === undefined ? {} : { servername }
  const secure = connectSecurely({ socket, ca: authority.certificate, checkServerIdentity: () => undefined, ...names })
  try {
    await once(secure, 'secureConnect')
    secure.write([...request, 'Connection: close', '', ''].join('\r\n'))
    let text = ''
    for await (const chunk of secure) text += chunk
    return text
  } catch {
    return 'no handshake'
  } finally {
    secure.destroy()
    socket.destroy()
  }
}

describe('a tunnel', () => {
  const get = (host: string, target = '/x') => [`GET ${target} HTTP/1.1`, `Host: ${host}`]

  it('ends at the proxy, with a certificate of the run', async () => {
    const text = await tunnel('api.example.com:443', 'api.example.com', get('api.example.com'))
    expect(text).toContain('api /x')
    expect(seen).toEqual(['api GET /x '])
  })

  it('for HTTP has no TLS', async () => {
    const begin = ['CONNECT erp.example:8080 HTTP/1.1', 'Host: erp.example:8080', `Proxy-Authorization: ${secret}`]
    const socket = connect(port, '127.0.0.1')
    let text = ''
    socket.on('data', (chunk) => (text += chunk))
    // A client need not wait for the tunnel.
    socket.write([...begin, '', ...get('erp.example:8080', '/v1/x'), '', ''].join('\r\n'))
    await expect.poll(() => text).toContain('erp /x')
    socket.destroy()
  })

  it.each<[string, string, string | undefined, string[], string]>([
    ['TLS for another host', 'api.example.com:443', 'evil.example', get('api.example.com'), 'no handshake'],
    ['TLS for no host', 'api.example.com:443', undefined, get('api.example.com'), 'no handshake'],
    ['a request for another host', 'api.example.com:443', 'api.example.com', get('evil.example'), 'host_ambiguous'],
    [
      'a whole address as the target',
      'api.example.com:443',
      'api.example.com',
      get('api.example.com', 'https://evil.example/'),
      'target_form_forbidden',
    ],
    ['a tunnel in the tunnel', 'api.example.com:443', 'api.example.com', ['CONNECT evil.example:443 HTTP/1.1'], ''],
    ['another port', 'api.example.com:22', undefined, [], 'host_not_served'],
    ['a mail server', 'erp.example:25', undefined, [], 'host_not_served'],
    ['an IP address', '10.0.0.1:443', undefined, [], 'host_not_served'],
    ['the metadata of a cloud', '169.254.169.254:80', undefined, [], 'host_not_served'],
    ['no port', 'api.example.com', undefined, [], 'target_form_forbidden'],
    ['a port beyond the last', 'api.example.com:65536', undefined, [], 'target_form_forbidden'],
  ])('is refused or closed for %s', async (_, end, servername, request, said) => {
    const text = await tunnel(end, servername, request)
    expect(text).toContain(said)
    expect([text.includes('HTTP/1.1 200 OK'), seen]).toEqual([false, []])
  })

  it('ends with the run', async () => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write(
      `CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com\r\nProxy-Authorization: ${secret}\r\n\r\n`,
    )
    await once(socket, 'data')
    const closed = once(socket, 'close')
    await proxy[Symbol.asyncDispose]()
    await closed
    const again = connect(port, '127.0.0.1')
    const [error] = await once(again, 'error')
    expect(error).toMatchObject({ code: 'ECONNREFUSED' })
  })
})

describe('a connection that says nothing', () => {
  const quietMs = 200
  beforeEach(async () => {
    await proxy[Symbol.asyncDispose]()
    const sites = ['https://api.example.com', 'http://erp.example:8080'].map((origin) => ({
      ...{ origin, path: '', place: place('api') },
    }))
    proxy = await listenProxy({ sites, authority, random: systemRandom, quietMs, onRefused: () => undefined })
    const url = new URL(proxy.url)
    port = Number(url.port)
    secret = `Basic ${Buffer.from(`${url.username}:${url.password}`).toString('base64')}`
  })
  const tunnelTo = (host: string) => withSecret([`CONNECT ${host} HTTP/1.1`, `Host: ${host}`])
  const asked = withSecret(['GET http://erp.example:8080/a HTTP/1.1', 'Host: erp.example:8080'])

  it.each([
    ['from its beginning', []],
    ['in the middle of a request', ['GET http://erp.example:8080/a HTTP/1.1', 'Host: erp']],
    ['before TLS in a tunnel', [...tunnelTo('api.example.com:443'), '', '']],
    ['in a tunnel', [...tunnelTo('erp.example:8080'), '', '']],
    ['in the middle of a request in a tunnel', [...tunnelTo('erp.example:8080'), '', 'GET /a HTTP/1.1']],
    ['after an answer', [...asked, '', '']],
  ])('loses its place: %s', async (_, lines) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => undefined).on('data', () => undefined)
    socket.write(lines.join('\r\n'))
    await expect.poll(() => socket.destroyed, { timeout: 4000 }).toBe(true)
  })

  it('loses its place also inside of TLS, before and after a request', async () => {
    for (const said of ['', 'GET /a HTTP/1.1\r\nHost: api.example.com\r\n\r\n']) {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => undefined)
      socket.write([...tunnelTo('api.example.com:443'), '', ''].join('\r\n'))
      await once(socket, 'data')
      const secure = connectSecurely({ socket, servername: 'api.example.com', ca: authority.certificate })
      secure.on('error', () => undefined).on('data', () => undefined)
      await once(secure, 'secureConnect')
      secure.write(said)
      await expect.poll(() => socket.destroyed, { timeout: 4000 }).toBe(true)
    }
  })
})
