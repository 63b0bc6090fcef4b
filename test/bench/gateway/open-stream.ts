import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { outcomeOf } from './agents.ts'

/** Networks of one address each: a server limits how many connections a network may hold. */
const networks = 64
let opened = 0

/** One answer that goes on, on a connection of its own, read byte by byte as they come. */
export class OpenStream implements Disposable {
  readonly #socket: Socket
  readonly #begun = Promise.withResolvers<'open' | 'late'>()
  readonly #ended = Promise.withResolvers<void>()
  #head = ''
  /** When the last byte came, and when the connection ended; ms of `performance`. */
  lastByteAt = 0
  endedAt: number | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', () => undefined)
    socket.once('close', () => {
      this.endedAt = performance.now()
      this.#begun.reject(new Error(`the stream ended before it began: ${this.#head}`))
      this.#ended.resolve()
    })
    this.#begun.promise.catch(() => undefined)
  }

  /** Resolves once the first event is here; `undefined` if a busy machine was late for it. Throws for any other answer. */
  static async open(url: string, request: Buffer): Promise<OpenStream | undefined> {
    const localAddress = `127.0.0.${2 + (opened++ % networks)}`
    const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port), localAddress })
    await once(socket, 'connect')
    const stream = new OpenStream(socket)
    socket.write(request)
    if ((await stream.#begun.promise) === 'open') return stream
    stream[Symbol.dispose]()
    return undefined
  }

  /** Resolves when no further byte can come. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  #take(chunk: Buffer): void {
    this.lastByteAt = performance.now()
    if (this.#head === 'begun') return
    this.#head += chunk.toString('latin1')
    const [head = '', ...rest] = this.#head.split('\r\n\r\n')
    const body = rest.join('\r\n\r\n')
    const isStream = /\r\ncontent-type: text\/event-stream/i.test(head)
    if (isStream && body.includes('data: ')) {
      this.#head = 'begun'
      this.#begun.resolve('open')
    } else if (!isStream && rest.length > 0 && body.length >= Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1])) {
      try {
        outcomeOf(Number(head.slice(9, 12)), body)
        this.#begun.resolve('late')
      } catch (error) {
        this.#begun.reject(error)
      }
    }
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }
}
