import type { Socket } from 'node:net'
import { GatheredBytes, TypedMessages, withResolvers } from '@bailiwick/kit'

export interface ServerMessage {
  readonly type: string
  readonly body: Buffer
}

/** The longest message that the gateway itself reads, and how many may wait. */
const mostBytes = 65_536
const mostWaiting = 256

/** Reads the messages of a server, as long as the gateway itself is the client. */
export class Wire {
  readonly #socket: Socket
  readonly #messages = new TypedMessages()
  readonly #waiting: ServerMessage[] = []
  #type = ''
  #body = new GatheredBytes()
  #failure: unknown
  #wake: () => void = () => undefined
  readonly #onData = (chunk: Buffer) => this.#read(chunk)
  readonly #onClose = () => this.#fail(new Error('the server closed the connection'))

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', this.#onData)
    socket.once('close', this.#onClose)
    if (socket.destroyed) this.#onClose()
  }

  send(bytes: Buffer): void {
    this.#socket.write(bytes)
  }

  /** The next message, for one reader at a time. Rejects once the connection is over, and for bytes that are no message. */
  async next(): Promise<ServerMessage> {
    for (;;) {
      const message = this.#waiting.shift()
      if (message !== undefined) return message
      if (this.#failure !== undefined) throw this.#failure
      const { promise, resolve } = withResolvers<void>()
      this.#wake = resolve
      await promise
    }
  }

  /** Pauses the socket and releases it. Throws if the connection is over, or if unread bytes would be lost. */
  release(): void {
    this.#socket.off('data', this.#onData).off('close', this.#onClose).pause()
    if (this.#failure !== undefined) throw this.#failure
    if (this.#waiting.length > 0 || !this.#messages.isBetween)
      throw new Error('the server sent more than it was asked for')
  }

  #read(chunk: Buffer): void {
    try {
      this.#messages.read(chunk, {
        begin: (type, length) => {
          if (length > mostBytes || this.#waiting.length >= mostWaiting) throw new Error('the server sends too much')
          this.#type = type
          this.#body = new GatheredBytes()
        },
        part: (bytes) => this.#body.push(bytes),
        end: () => this.#waiting.push({ type: this.#type, body: this.#body.bytes() }),
      })
    } catch (error) {
      this.#fail(error)
    }
    this.#wake()
  }

  #fail(error: unknown): void {
    this.#failure ??= error
    this.#socket.destroy()
    this.#wake()
  }
}
