import { connect, type Socket } from 'node:net'
import type { RawAgent } from './raw-request.ts'

/** The key of RFC 6455's example, and what a server must answer to it. */
export const sampleKey = 'dGhlIHNhbXBsZSBub25jZQ=='
export const sampleAccept = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='

export interface Handshake {
  target?: string
  /** The path that the proof is for. */
  path?: string
  method?: string
  fields?: (fields: string[]) => string[]
  /** What follows the head, before any answer. */
  early?: string
}

/** A client of WebSockets as bytes: frames are what a test writes, and no library hides what comes back. */
export class RawWebSocket implements Disposable {
  readonly #socket: Socket
  received = ''
  isClosed = false

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => {
      this.received += text
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.isClosed = true
    })
  }

  static open(url: string, agent: RawAgent, handshake: Handshake = {}): RawWebSocket {
    const { method = 'GET', target = '/http/erp/rooms/1', path = target, fields = (all) => all, early = '' } = handshake
    const { host, port } = new URL(url)
    const usual = [
      `Host: ${host}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      `Sec-WebSocket-Key: ${sampleKey}`,
      'Sec-WebSocket-Version: 13',
      ...agent.fields(method, `${url}${path}`),
    ]
    const client = new RawWebSocket(connect(Number(port), '127.0.0.1'))
    client.send(`${[`${method} ${target} HTTP/1.1`, ...fields(usual)].join('\r\n')}\r\n\r\n${early}`)
    return client
  }

  send(text: string): void {
    this.#socket.write(Buffer.from(text, 'latin1'))
  }

  end(): void {
    this.#socket.end()
  }

  get status(): number {
    return Number(/^HTTP\/1\.1 (\d{3})/.exec(this.received)?.[1] ?? 0)
  }

  get code(): string | undefined {
    return /"code":"([a-z_]+)"/.exec(this.received)?.[1]
  }

  /** Whether the head of an answer is there, and the answer is whole if it is none that opens a WebSocket. */
  get isAnswered(): boolean {
    if (!this.received.includes('\r\n\r\n')) return false
    return this.status === 101 || this.isClosed || this.code !== undefined
  }

  get nonce(): string | undefined {
    return /\r\ndpop-nonce: (\S+)/i.exec(this.received)?.[1]
  }

  /** What came after the head. */
  get frames(): string {
    const end = this.received.indexOf('\r\n\r\n')
    return end < 0 ? '' : this.received.slice(end + 4)
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }
}
