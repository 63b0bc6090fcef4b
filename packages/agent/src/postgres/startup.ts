import type { Socket } from 'node:net'
import { withDeadline, withResolvers } from '@bailiwick/kit'

/** The first message of a PostgreSQL client (protocol 3.0). */
export type Startup =
  | { readonly parameters: ReadonlyMap<string, string> }
  | { readonly cancels: { readonly pid: number; readonly key: number } }

/** A start-up that is refused. The client sees the message. */
export class StartupRefused extends Error {}

const [protocol, cancelRequest, sslRequest, gssRequest] = [196_608, 80_877_102, 80_877_103, 80_877_104]
/** The longest start-up, as PostgreSQL itself has it, and the longest password. */
const mostBytes = 10_000
const mostPassword = 1024
/** How long a client may take with its start-up. */
const mostMs = 30_000

/**
 * Reads the start-up of a client. Answers no to each request for encryption: the connection stays on this machine. Bytes that follow a
 * packet before its answer are refused. Throws `StartupRefused`, and any error for a client that is none or that is too slow.
 */
export class StartupReader {
  readonly #socket: Socket
  #held = Buffer.alloc(0)
  #isOver = false
  #wake: () => void = () => undefined
  readonly #onData = (chunk: Buffer) => {
    this.#held = Buffer.concat([this.#held, chunk])
    // Reads no more than the start-up: later bytes stay in the socket for the next reader.
    if (this.#held.length > mostBytes) this.#onClose()
    this.#wake()
  }
  readonly #onClose = () => {
    this.#isOver = true
    this.#wake()
  }

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', this.#onData).once('close', this.#onClose).once('end', this.#onClose)
  }

  read(): Promise<Startup> {
    return withDeadline(this.#startup(), mostMs)
  }

  /** Asks for the password in the clear, because the connection stays on this machine. */
  password(): Promise<string> {
    this.#socket.write(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]))
    return withDeadline(this.#password(), mostMs)
  }

  /** Pauses the socket and releases it to the next reader. */
  release(): void {
    this.#socket.pause().off('data', this.#onData).off('close', this.#onClose).off('end', this.#onClose)
  }

  async #startup(): Promise<Startup> {
    const asked = new Set<number>()
    for (;;) {
      const packet = await this.#packet(0, mostBytes)
      const code = packet.length < 8 ? 0 : packet.readInt32BE(4)
      if ((code === sslRequest || code === gssRequest) && packet.length === 8 && !asked.has(code)) {
        asked.add(code)
        this.#socket.write('N')
      } else if (code === cancelRequest && packet.length === 16)
        return { cancels: { pid: packet.readInt32BE(8), key: packet.readInt32BE(12) } }
      else if (code === protocol) return { parameters: parametersIn(packet.subarray(8)) }
      else throw new StartupRefused('only version 3.0 of the protocol is spoken here')
    }
  }

  async #password(): Promise<string> {
    const message = await this.#packet(1, mostPassword)
    if (message[0] !== 0x70 || message.at(-1) !== 0) throw new StartupRefused('a password was asked for')
    return message.toString('utf8', 5, message.length - 1)
  }

  /** One packet, with nothing after it. `before`: the bytes before its length. */
  async #packet(before: 0 | 1, most: number): Promise<Buffer> {
    for (;;) {
      if (this.#held.length >= before + 4) {
        const length = this.#held.readInt32BE(before) + before
        if (length < before + 4 || length > most) throw new StartupRefused('a packet with an impossible length')
        if (this.#held.length > length) throw new StartupRefused('bytes before the answer')
        if (this.#held.length === length) {
          const packet = this.#held
          this.#held = Buffer.alloc(0)
          return packet
        }
      }
      if (this.#isOver) throw new Error('the client has gone')
      const { promise, resolve } = withResolvers<void>()
      this.#wake = resolve
      await promise
    }
  }
}

function parametersIn(bytes: Buffer): ReadonlyMap<string, string> {
  const texts = bytes.toString('utf8').split('\0')
  // The last parameter ends with a zero byte, and another one ends the list.
  if (texts.length % 2 !== 0 || texts.at(-1) !== '' || texts.at(-2) !== '')
    throw new StartupRefused('the parameters of the start-up')
  const parameters = new Map<string, string>()
  for (let n = 0; n + 2 < texts.length; n += 2) {
    const [name = '', value = ''] = texts.slice(n, n + 2)
    if (name === '' || parameters.has(name)) throw new StartupRefused('the parameters of the start-up')
    parameters.set(name, value)
  }
  return parameters
}
