import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export type Field = readonly [name: string, value: string]

const types = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8, continuation: 9 }
const endStream = 0x1
const endHeaders = 0x4
const hasPadding = 0x8

/** What became of a stream. */
export interface Outcome {
  /** What arrived as its body. */
  body: string
  /** Its answer is whole. */
  isWhole: boolean
  /** The code of a RST_STREAM. */
  reset: number | undefined
  /** The code of a GOAWAY with an error. */
  goAway: number | undefined
  isClosed: boolean
}

/** A client of HTTP/2 that writes frames by hand: no library sends what an attack does. Its fields are not compressed. */
export class Http2Wire implements Disposable {
  readonly #socket: Socket
  readonly #frames: { type: number; flags: number; id: number; payload: Buffer }[] = []
  #unread: Buffer = Buffer.alloc(0)
  #isClosed = false

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.#isClosed = true
    })
    socket.on('data', (chunk: Buffer) => {
      this.#unread = Buffer.concat([this.#unread, chunk])
      this.#read()
    })
  }

  /** On a connection of its own, with the preface and empty settings. */
  static async open(port: number): Promise<Http2Wire> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    const wire = new Http2Wire(socket)
    wire.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    wire.frame(types.settings, 0, 0)
    return wire
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  write(bytes: string | Buffer): void {
    if (this.#socket.writable) this.#socket.write(bytes)
  }

  frame(type: number, flags: number, id: number, payload: Buffer = Buffer.alloc(0)): void {
    const head = Buffer.alloc(9)
    head.writeUIntBE(payload.length, 0, 3)
    head.writeUInt8(type, 3)
    head.writeUInt8(flags, 4)
    head.writeUInt32BE(id, 5)
    this.write(Buffer.concat([head, payload]))
  }

  /** The head of a request, or trailers. */
  headers(id: number, fields: readonly Field[], { ends = true, isWhole = true } = {}): void {
    const flags = (ends ? endStream : 0) | (isWhole ? endHeaders : 0)
    this.frame(types.headers, flags, id, Buffer.concat(fields.map(literal)))
  }

  continuation(id: number, fields: readonly Field[], isLast: boolean): void {
    this.frame(types.continuation, isLast ? endHeaders : 0, id, Buffer.concat(fields.map(literal)))
  }

  data(id: number, body: string, ends = true): void {
    this.frame(types.data, ends ? endStream : 0, id, Buffer.from(body))
  }

  /** A body's last part, with as many bytes behind it that mean nothing. */
  padded(id: number, body: string, bytes: number): void {
    const padding = Buffer.alloc(bytes)
    this.frame(
      types.data,
      endStream | hasPadding,
      id,
      Buffer.concat([Buffer.from([bytes]), Buffer.from(body), padding]),
    )
  }

  reset(id: number, code = 8): void {
    this.frame(types.reset, 0, id, Buffer.from([0, 0, 0, code]))
  }

  /** Lets the server send this many more bytes, on one stream or (0) on all together. */
  widen(id: number, bytes = 2 ** 31 - 1 - 65_535): void {
    const payload = Buffer.alloc(4)
    payload.writeUInt32BE(bytes)
    this.frame(types.windowUpdate, 0, id, payload)
  }

  /** Reads nothing more. */
  stopReading(): void {
    this.#socket.pause()
  }

  ping(): void {
    this.frame(types.ping, 0, 0, Buffer.alloc(8))
  }

  settings(pairs: readonly (readonly [id: number, value: number])[] = []): void {
    const payload = Buffer.alloc(6 * pairs.length)
    for (const [n, [id, value]] of pairs.entries()) {
      payload.writeUInt16BE(id, 6 * n)
      payload.writeUInt32BE(value, 6 * n + 2)
    }
    this.frame(types.settings, 0, 0, payload)
  }

  /** What has become of a stream so far. */
  outcome(id: number): Outcome {
    const own = this.#frames.filter((frame) => frame.id === id)
    const reset = own.find(({ type }) => type === types.reset)?.payload.readUInt32BE()
    const left = this.#frames.findLast(({ type }) => type === types.goAway)?.payload.readUInt32BE(4)
    return {
      body: Buffer.concat(own.filter(({ type }) => type === types.data).map(({ payload }) => payload)).toString(),
      isWhole: own.some(({ type, flags }) => type <= types.headers && (flags & endStream) !== 0),
      ...{ reset, goAway: left === 0 ? undefined : left, isClosed: this.#isClosed },
    }
  }

  /** The same, once there is nothing to wait for. */
  async ended(id: number): Promise<Outcome> {
    for (;;) {
      const outcome = this.outcome(id)
      if (outcome.isWhole || outcome.reset !== undefined || outcome.isClosed) return outcome
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  #read(): void {
    while (this.#unread.length >= 9) {
      const length = this.#unread.readUIntBE(0, 3)
      if (this.#unread.length < 9 + length) return
      this.#frames.push({
        type: this.#unread.readUInt8(3),
        flags: this.#unread.readUInt8(4),
        id: this.#unread.readUInt32BE(5),
        payload: this.#unread.subarray(9, 9 + length),
      })
      this.#unread = this.#unread.subarray(9 + length)
    }
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }
}

/** RFC 7541 §6.2.2: without indexing, with a new name. */
const literal = ([name, value]: Field): Buffer =>
  Buffer.concat([Buffer.from([0]), ...[name, value].map((text) => Buffer.from(text, 'latin1')).flatMap(sized)])

const sized = (text: Buffer): Buffer[] => [lengthOf(text.length), text]

/** RFC 7541 §5.1, with a prefix of seven bits. */
function lengthOf(length: number): Buffer {
  if (length < 127) return Buffer.from([length])
  const bytes = [127]
  let rest = length - 127
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  return Buffer.from([...bytes, rest])
}

/** The pseudo-header fields of a request to this machine. */
export const requestFields = (port: number, method: string, path: string): Field[] => [
  [':method', method],
  [':scheme', 'http'],
  [':authority', `localhost:${port}`],
  [':path', path],
]
