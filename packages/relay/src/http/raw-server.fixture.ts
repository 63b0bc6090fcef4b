import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'

/** A request as its bytes arrived, in Latin-1. */
export interface Arrived {
  text: string
  head: string
  body: string
  target: string
  socket: Socket
}

/**
 * A server on TCP that keeps every byte it gets and answers byte by byte as a test tells it to: no HTTP library stands between the test and
 * the wire.
 */
export class RawServer implements AsyncDisposable {
  readonly arrived: Arrived[] = []
  /** All bytes, in the order of the connections. */
  readonly bytes: string[] = []
  connections = 0
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(answer: (arrived: Arrived) => void) {
    this.#server = createServer((socket) => {
      const n = this.connections++
      this.bytes[n] = ''
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket)).on('error', () => undefined)
      let rest = ''
      socket.on('data', (chunk) => {
        const text = chunk.toString('latin1')
        this.bytes[n] += text
        rest += text
        for (;;) {
          const end = rest.indexOf('\r\n\r\n')
          if (end < 0) return
          const head = rest.slice(0, end + 4)
          const length = Number(/\r\ncontent-length: (\d+)\r\n/i.exec(head)?.[1] ?? 0)
          if (rest.length < head.length + length) return
          const body = rest.slice(head.length, head.length + length)
          rest = rest.slice(head.length + length)
          const arrived = { text: head + body, head, body, target: head.split(' ')[1] ?? '', socket }
          this.arrived.push(arrived)
          answer(arrived)
        }
      })
    })
  }

  static async start(answer: (arrived: Arrived) => void): Promise<RawServer> {
    const server = new RawServer(answer)
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve))
    return server
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  async vanish(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.vanish()
  }
}

/** A whole answer of HTTP/1.1, to be written in Latin-1 if it is not ASCII. */
export const whole = (body: string, fields = 'content-type: application/json\r\n', status = '200 OK'): string =>
  `HTTP/1.1 ${status}\r\n${fields}content-length: ${Buffer.byteLength(body, 'latin1')}\r\n\r\n${body}`

/** One part of an answer in chunks. */
export const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`
export const chunkedHead = (type: string): string =>
  `HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\ntransfer-encoding: chunked\r\n\r\n`
