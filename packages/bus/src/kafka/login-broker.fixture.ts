import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

const apis = { fetch: 1, metadata: 3, handshake: 17, versions: 18, authenticate: 36 }
/** The versions that it supports, by request. */
const answered: readonly [number, number, number][] = [
  [apis.fetch, 11, 11],
  [apis.metadata, 0, 0],
  [apis.handshake, 1, 1],
  [apis.versions, 0, 1],
  [apis.authenticate, 0, 0],
]
const illegalSaslState = 34

export interface LoginBroker extends AsyncDisposable {
  port: number
  /** For each login, in order: for how many ms its answer is delayed, or for ever. */
  readonly logins: ('for ever' | number)[]
  /** The number of connections made. */
  readonly connections: () => number
  /** The number of requests that were illegal in the state of their connection. */
  readonly illegal: () => number
}

/**
 * Speaks just enough of Kafka for a login (SCRAM-SHA-512), a topic with one partition and an empty fetch. Like a real broker, it accepts
 * one login per connection: a request that does not continue the login begun there gets ILLEGAL_SASL_STATE.
 */
export async function loginBroker(
  password: string,
  hold: (login: number) => 'for ever' | number,
): Promise<LoginBroker> {
  const sockets = new Set<Socket>()
  const timers = new Set<NodeJS.Timeout>()
  const logins: ('for ever' | number)[] = []
  let illegal = 0
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    let state: 'new' | 'handshake' | 'first' | 'final' | 'done' = 'new'
    let scram = new Scram(password)
    const later = (ms: number, answer: () => void) => {
      if (ms === 0) return answer()
      const timer = setTimeout(() => timers.delete(timer) && answer(), ms)
      timers.add(timer)
    }
    onFrames(socket, (frame) => {
      const [api, version, correlation] = [frame.readInt16BE(0), frame.readInt16BE(2), frame.readInt32BE(4)]
      const body = frame.subarray(10 + Math.max(0, frame.readInt16BE(8)))
      const answer = (...parts: Buffer[]) => socket.writable && socket.write(framed(int32(correlation), ...parts))
      if (api === apis.versions) {
        const listed = answered.flatMap((one) => one.map(int16))
        const throttle = version === 0 ? [] : [int32(0)]
        return answer(int16(0), int32(answered.length), ...listed, ...throttle)
      }
      if (api === apis.handshake) {
        if (state !== 'new') {
          illegal++
          return answer(int16(illegalSaslState), int32(0))
        }
        state = 'first'
        scram = new Scram(password)
        return answer(int16(0), int32(1), text('SCRAM-SHA-512'))
      }
      if (api === apis.authenticate && (state === 'first' || state === 'final')) {
        const said = body.subarray(4).toString()
        const ok = (reply: string) => answer(int16(0), int16(-1), int32(reply.length), Buffer.from(reply))
        if (state === 'final') {
          state = 'done'
          return ok(scram.final(said))
        }
        state = 'final'
        const held = hold(logins.length + 1)
        logins.push(held)
        return held === 'for ever' ? undefined : later(held, () => ok(scram.first(said)))
      }
      if (state !== 'done') {
        illegal++
        return socket.destroy()
      }
      const { port } = server.address() as AddressInfo
      if (api === apis.metadata) {
        const partition = [int16(0), int32(0), int32(1), int32(1), int32(1), int32(1), int32(1)]
        return answer(
          ...[int32(1), int32(1), text('127.0.0.1'), int32(port)],
          ...[int32(1), int16(0), text('t'), int32(1), ...partition],
        )
      }
      if (api === apis.fetch) return answer(int32(0), int16(0), int32(0), int32(0))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    logins,
    connections: () => sockets.size,
    illegal: () => illegal,
    async [Symbol.asyncDispose]() {
      for (const timer of timers) clearTimeout(timer)
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** RFC 5802, the server's side, for one password. */
class Scram {
  readonly #salted: Buffer
  readonly #salt = Buffer.from('salt of the fixture')
  #messages = ''

  constructor(password: string) {
    this.#salted = pbkdf2Sync(password, this.#salt, 4096, 64, 'sha512')
  }

  first(client: string): string {
    const bare = client.slice('n,,'.length)
    const nonce = /r=([^,]+)/.exec(bare)?.[1]
    const server = `r=${nonce}server,s=${this.#salt.toString('base64')},i=4096`
    this.#messages = `${bare},${server}`
    return server
  }

  final(client: string): string {
    const authMessage = `${this.#messages},${client.replace(/,p=.*$/, '')}`
    const key = createHmac('sha512', this.#salted).update('Client Key').digest()
    const signature = createHmac('sha512', createHash('sha512').update(key).digest()).update(authMessage).digest()
    const proof = Buffer.from(key.map((byte, n) => byte ^ (signature[n] ?? 0))).toString('base64')
    if (!client.endsWith(`,p=${proof}`)) throw new Error('the password is wrong')
    const serverKey = createHmac('sha512', this.#salted).update('Server Key').digest()
    return `v=${createHmac('sha512', serverKey).update(authMessage).digest('base64')}`
  }
}

function onFrames(socket: Socket, take: (frame: Buffer) => void): void {
  let bytes = Buffer.alloc(0)
  socket.on('data', (chunk) => {
    bytes = Buffer.concat([bytes, Buffer.from(chunk)])
    while (bytes.length >= 4 && bytes.length >= 4 + bytes.readInt32BE(0)) {
      const end = 4 + bytes.readInt32BE(0)
      take(bytes.subarray(4, end))
      bytes = bytes.subarray(end)
    }
  })
}

function int16(n: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(n)
  return bytes
}
function int32(n: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(n)
  return bytes
}
const text = (value: string) => Buffer.concat([int16(value.length), Buffer.from(value)])
function framed(...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  return Buffer.concat([int32(body.length), body])
}
