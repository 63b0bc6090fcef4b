import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setImmediate, setTimeout } from 'node:timers/promises'

export interface Answer {
  status: number
  /** The body's bytes, one for each character. */
  body: string
}

/** A POST with a JSON body, ready to send. */
export function postOf(path: string, body: string, headers: Readonly<Record<string, string>> = {}): Buffer {
  const fields = { 'content-type': 'application/json', ...headers, 'content-length': String(Buffer.byteLength(body)) }
  return headOf('POST', path, fields, body)
}

/** A GET, ready to send. */
export const getOf = (path: string, headers: Readonly<Record<string, string>> = {}): Buffer =>
  headOf('GET', path, headers, '')

function headOf(method: string, path: string, headers: Readonly<Record<string, string>>, body: string): Buffer {
  const lines = Object.entries({ host: 'localhost', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`)
}

/**
 * Keep-alive connections with one request in flight each, written by hand. A client that costs its core more than the
 * server costs its own would dominate the measurement.
 */
export class Load implements Disposable {
  readonly #connections: Connection[]
  readonly #free: Connection[]
  readonly #waiting: ((connection: Connection) => void)[] = []

  private constructor(connections: Connection[]) {
    this.#connections = connections
    this.#free = [...connections]
  }

  static async open(url: string, width: number): Promise<Load> {
    return new Load(await Promise.all(Array.from({ length: width }, () => Connection.open(Number(new URL(url).port)))))
  }

  /** Sent as soon as a connection is free. */
  async ask(request: Buffer): Promise<Answer> {
    // The one that was idle for longest: a server closes connections that stay idle.
    const connection = this.#free.shift() ?? (await new Promise<Connection>((resolve) => this.#waiting.push(resolve)))
    try {
      return await connection.ask(request)
    } finally {
      const next = this.#waiting.shift()
      if (next) next(connection)
      else this.#free.push(connection)
    }
  }

  [Symbol.dispose](): void {
    for (const connection of this.#connections) connection.close()
  }
}

class Connection {
  readonly #socket: Socket
  #received = ''
  #answer: PromiseWithResolvers<Answer> | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => this.#take(chunk))
    socket.on('error', (error) => this.#answer?.reject(error))
    socket.on('close', () => this.#answer?.reject(new Error('the server closed the connection')))
  }

  static async open(port: number): Promise<Connection> {
    const socket = connect({ port, host: '127.0.0.1' })
    await once(socket, 'connect')
    return new Connection(socket)
  }

  ask(request: Buffer): Promise<Answer> {
    const answer = Promise.withResolvers<Answer>()
    this.#answer = answer
    this.#socket.write(request)
    return answer.promise
  }

  #take(chunk: string): void {
    this.#received += chunk
    const head = this.#received.indexOf('\r\n\r\n')
    if (head < 0) return
    const length = /\r\ncontent-length: (\d+)/i.exec(this.#received.slice(0, head))?.[1]
    if (length === undefined)
      throw new Error(`an answer that does not say how long it is: ${this.#received.slice(0, head)}`)
    const end = head + 4 + Number(length)
    if (this.#received.length < end) return
    const answer = { status: Number(this.#received.slice(9, 12)), body: this.#received.slice(head + 4, end) }
    this.#received = ''
    this.#answer?.resolve(answer)
    this.#answer = undefined
  }

  close(): void {
    this.#answer = undefined
    this.#socket.destroy()
  }
}

/** How late a timer may be. */
const timerMs = 2

/**
 * Sends this many requests a second, whether or not answers come. The time of each, in ms, counts from when it was due,
 * so that a late one makes those after it late too.
 */
export async function paced(
  perSecond: number,
  count: number,
  task: (n: number) => Promise<unknown>,
): Promise<number[]> {
  const each: number[] = []
  const running: Promise<unknown>[] = []
  const started = performance.now()
  for (let n = 0; n < count; n++) {
    const due = started + (n * 1000) / perSecond
    // A loop without pauses would take a core from the servers; a timer alone is late by a millisecond or two.
    const idleMs = due - performance.now() - timerMs
    if (idleMs > 0) await setTimeout(idleMs)
    do await setImmediate()
    while (performance.now() < due)
    running.push(task(n).then(() => each.push(performance.now() - due)))
  }
  await Promise.all(running)
  return each
}
