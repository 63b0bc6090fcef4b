import { createHash } from 'node:crypto'
import type { Arrived } from '@bailiwick/relay/raw-server'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type ApiWorld, openApiWorld, upstreamSecret } from '../e2e/api-world.ts'
import { without } from './api-attacks.ts'
import { passing, RawAgent } from './raw-request.ts'
import { eventually } from './scene.ts'
import { type Handshake, RawWebSocket, sampleAccept, sampleKey } from './websocket-client.ts'

/*
 * A WebSocket is decided once, when it is opened. So it may be opened only by what people approved as one, by a request that has one reading,
 * and it ends with its grant. Frames are bytes here: the gateway does not read them.
 */

const acceptOf = (head: string) => {
  const [, key = ''] = /\r\nsec-websocket-key: (\S+)/i.exec(head) ?? []
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
}
const opened = (head: string, more = '') =>
  `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptOf(head)}\r\n${more}\r\n`
/** Opens it, and repeats what it hears. */
const echoing = ({ head, socket }: Arrived) => {
  socket.on('data', (chunk) => socket.write(chunk))
  socket.write(opened(head))
}

let answer = echoing
let at: ApiWorld
let agent: RawAgent
let grant: { grantId: string; requestId: string }
const clients: RawWebSocket[] = []
beforeAll(async () => {
  at = await openApiWorld({ http2: true, answer: (arrived) => answer(arrived) })
  grant = await at.world.granted(at.authority)
  agent = await RawAgent.open(at.world, grant.grantId)
})
afterAll(() => at?.[Symbol.asyncDispose]())
beforeEach(() => {
  answer = echoing
})
afterEach(() => {
  for (const client of clients.splice(0)) client[Symbol.dispose]()
})

/** Opens one, and again while a busy machine keeps it from being decided. */
async function open(handshake: Handshake = {}, as = agent): Promise<RawWebSocket & { arrived: number }> {
  const before = at.api.arrived.length
  const client = await eventually('it is decided', async () => {
    const made = RawWebSocket.open(at.world.url, as, handshake)
    clients.push(made)
    await expect.poll(() => made.isAnswered || made.isClosed, { timeout: 20_000 }).toBe(true)
    const { nonce } = made
    if (nonce !== undefined) as.nonce = nonce
    return nonce !== undefined || passing.has(made.code ?? '') ? undefined : made
  })
  return Object.assign(client, { arrived: at.api.arrived.length - before })
}
const heard = (client: RawWebSocket, text: string) => expect.poll(() => client.frames).toContain(text)

describe('a WebSocket that people approved', () => {
  it('is open in both directions, with the key of the gateway in place of the agent’s credential', async () => {
    const client = await open()
    expect([client.status, client.received]).toEqual([101, expect.stringContaining(sampleAccept)])
    client.send('frame one')
    await heard(client, 'frame one')
    client.send('frame two')
    await heard(client, 'frame two')
    const { head } = at.api.arrived.at(-1) ?? {}
    expect(head).toContain(upstreamSecret)
    expect(head).not.toMatch(/dpop|bailiwick|sec-websocket-extensions/i)
  })

  it('ends for both when the client ends it', async () => {
    const client = await open()
    const { socket } = at.api.arrived.at(-1) ?? {}
    client.end()
    await expect.poll(() => [client.isClosed, socket?.destroyed]).toEqual([true, true])
  })

  it('ends for both when the API ends it', async () => {
    const client = await open()
    at.api.arrived.at(-1)?.socket.end('the last frame')
    await heard(client, 'the last frame')
    await expect.poll(() => client.isClosed).toBe(true)
  })

  it('is closed when the person withdraws, and nothing more passes (V7)', async () => {
    const { grantId, requestId } = await at.world.granted(at.authority)
    const client = await open({}, await RawAgent.open(at.world, grantId))
    expect(client.status).toBe(101)
    const { socket } = at.api.arrived.at(-1) ?? {}
    await at.world.approver.withdraw(requestId)
    await expect.poll(() => [client.isClosed, socket?.destroyed], { timeout: 20_000 }).toEqual([true, true])
    expect(client.frames).toBe('')
  })
})

describe.each<[string, Handshake, string]>([
  ['a room that was not approved', { target: '/http/erp/rooms/3' }, 'argument_out_of_bounds'],
  ['an operation that is no WebSocket', { target: '/http/erp/invoices/1' }, 'operation_unmapped'],
  ['an API without operations', { target: '/http/plain/open/x' }, 'header_forbidden'],
  ['a POST', { method: 'POST' }, 'header_forbidden'],
  ['another protocol', { fields: (f) => [...without(f, 'upgrade'), 'Upgrade: h2c'] }, 'header_forbidden'],
  ['two protocols', { fields: (f) => [...without(f, 'upgrade'), 'Upgrade: websocket, h2c'] }, 'header_forbidden'],
  ['two fields of protocols', { fields: (f) => [...f, 'Upgrade: h2c'] }, 'header_'],
  ['no connection', { fields: (f) => without(f, 'connection') }, 'header_'],
  [
    'a field that the connection names',
    { fields: (f) => [...without(f, 'connection'), 'Connection: Upgrade, DPoP'] },
    'header_connection_forbidden',
  ],
  ['HTTP/2 by the way', { fields: (f) => [...f, 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA'] }, 'header_forbidden'],
  ['no key', { fields: (f) => without(f, 'sec-websocket-key') }, 'header_value_forbidden'],
  [
    'a key that is none',
    { fields: (f) => [...without(f, 'sec-websocket-key'), 'Sec-WebSocket-Key: short'] },
    'header_value_forbidden',
  ],
  ['two keys', { fields: (f) => [...f, 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='] }, 'header_repeated'],
  [
    'another version',
    { fields: (f) => [...without(f, 'sec-websocket-version'), 'Sec-WebSocket-Version: 8'] },
    'header_value_forbidden',
  ],
  ['a body with a length', { fields: (f) => [...f, 'Content-Length: 3'], early: 'abc' }, ''],
  ['a body in chunks', { fields: (f) => [...f, 'Transfer-Encoding: chunked'], early: '0\r\n\r\n' }, ''],
  ['frames before the answer', { early: 'GET /erp/users HTTP/1.1\r\nHost: x\r\n\r\n' }, 'request_malformed'],
  ['no credential', { fields: (f) => without(f, 'authorization') }, 'credential_missing'],
  ['no proof', { fields: (f) => without(f, 'dpop') }, 'proof_'],
  ['a proof for another path', { path: '/http/erp/rooms/2' }, 'proof_'],
  ['a page of another origin', { fields: (f) => [...f, 'Origin: https://evil.example'] }, ''],
  ['another host', { fields: (f) => [...without(f, 'host'), 'Host: evil.example'] }, ''],
  ['a path that climbs', { target: '/http/erp/rooms/../rooms/1' }, ''],
])('%s', (_, handshake, code) => {
  it('opens nothing, and nothing reaches the API', async () => {
    const client = await open(handshake)
    expect([client.status >= 400 || client.status === 0, client.arrived]).toEqual([true, 0])
    expect(client.code ?? '').toContain(code)
  })
})

it('a client that asks for one before it has the answer to an earlier request loses its connection, and no one else does (V18)', async () => {
  const fields = ['Host: localhost', 'Connection: Upgrade', 'Upgrade: websocket', `Sec-WebSocket-Key: ${sampleKey}`]
  const client = RawWebSocket.open(at.world.url, agent, {
    target: '/http/erp/invoices/1',
    fields: (all) => without(without(all, 'upgrade'), 'connection'),
    early: `${['GET /http/erp/rooms/1 HTTP/1.1', ...fields].join('\r\n')}\r\n\r\n`,
  })
  clients.push(client)
  await expect.poll(() => client.isClosed, { timeout: 20_000 }).toBe(true)
  expect((await open()).status).toBe(101)
})

describe.each<[string, (arrived: Arrived) => void]>([
  ['does not open it', ({ socket }) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno')],
  ['refuses', ({ socket }) => socket.write('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n')],
  [
    'leads elsewhere',
    ({ socket }) => socket.write('HTTP/1.1 302 Found\r\nlocation: ws://evil\r\ncontent-length: 0\r\n\r\n'),
  ],
  ['answers another key', ({ socket }) => socket.write(opened('sec-websocket-key: other'))],
  ['opens another protocol', ({ head, socket }) => socket.write(opened(head).replace('websocket', 'h2c'))],
  [
    'chooses an extension that was not offered',
    ({ head, socket }) => socket.write(opened(head, 'Sec-WebSocket-Extensions: permessage-deflate\r\n')),
  ],
  ['breaks off', ({ socket }) => socket.destroy()],
])('an API that %s', (_, given) => {
  it('gets no frame, and the client gets none of it', async () => {
    answer = given
    const client = await open()
    expect([client.status, client.code]).toEqual([502, 'upstream_failed'])
    expect(client.received).not.toMatch(/evil|permessage/)
  })
})

it('a secret that the API sends back on it is cut off (V17)', async () => {
  answer = ({ head, socket }) => socket.write(`${opened(head)}the key is ${upstreamSecret} and more`)
  const client = await open()
  await expect.poll(() => client.isClosed).toBe(true)
  expect(client.received).not.toContain(upstreamSecret)
})
